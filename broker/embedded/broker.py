"""The embedded log as a broker."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from broker.embedded.caretaker import Caretaker
from broker.embedded.catalogue import Catalogue
from broker.embedded.database import create_files, transaction
from broker.embedded.directory import DataDirectory, LogFile
from broker.embedded.fetch import Wanted, fetch
from broker.embedded.joining import join_group
from broker.embedded.living import count_living
from broker.embedded.offsets import places
from broker.embedded.parts import Parts
from broker.embedded.publisher import EmbeddedPublisher
from broker.embedded.readers import Readers
from broker.embedded.reading import LogReader, log_ranges
from broker.embedded.timing import Timing
from broker.embedded.transactional import EmbeddedTransactionalPublisher
from broker.embedded.wake import WakeSender
from broker.embedded.wakeups import Wakeups
from broker.embedded.writers import Writers
from broker.interface import Broker, Unavailable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

    from structlog.typing import FilteringBoundLogger

    from broker.embedded.catalogue import Topic
    from broker.embedded.subscription import EmbeddedSubscription
    from broker.interface import Commit, LogRange, RebalanceListener, Record, Relief, TopicDifference, TopicPartition
    from runtime.clock import Clock
    from runtime.metrics import Metrics
    from schemas.topics import TopicSpec


T = TypeVar("T")


class EmbeddedBroker(Broker):
    """The log in the directory `path`, which several processes may share. One instance belongs to one event loop.

    Nothing is read past a chunk that is not what was written; with `skip_damaged` it is logged as an error and left out.
    """

    def __init__(
        self,
        path: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        clock: Clock,
        timing: Timing | None = None,
        *,
        skip_damaged: bool = False,
    ) -> None:
        self._directory = DataDirectory(Path(path))
        self._metrics = metrics
        self._log = log.bind(path=path)
        self._clock = clock
        self._timing = timing or Timing()
        self._skip_damaged = skip_damaged
        self._started: Parts | None = None
        self._publishers: list[EmbeddedPublisher] = []
        self._transactional: list[EmbeddedTransactionalPublisher] = []
        self._subscriptions: set[EmbeddedSubscription] = set()

    async def start(self) -> None:
        """As the interface says: creates the directory (0700) and the files where they are missing."""
        await asyncio.get_running_loop().run_in_executor(None, create_files, self._directory)
        directory, timing, clock, log = self._directory, self._timing, self._clock, self._log
        sender, readers = WakeSender(directory.wake), Readers(directory, self._damaged if self._skip_damaged else None)
        writers = Writers(directory, sender, clock, self._metrics.broker_append_seconds, log)
        wakeups = Wakeups(directory.wake, timing)
        caretaker = Caretaker(directory, timing, clock, self._metrics.broker_disk_bytes, log)
        catalogue = Catalogue(readers, writers)
        self._started = Parts(directory, timing, clock, log, readers, sender, writers, wakeups, catalogue, caretaker)

    async def close(self) -> None:
        """As the interface says. Waits up to 10 s for what publishers still have to write."""
        parts, self._started = self._started, None
        if parts is None:
            return
        for subscription in tuple(self._subscriptions):
            await subscription.close()
        await asyncio.gather(*(publisher.close() for publisher in self._publishers))
        for owner in self._transactional:
            await owner.close()
        parts.readers.refuse()
        await parts.wakeups.close()
        await asyncio.get_running_loop().run_in_executor(None, _close_threads, parts)

    async def ensure_topics(self, specs: Sequence[TopicSpec], *, create: bool = True) -> list[TopicDifference]:
        """As the interface says."""
        return await self._parts.catalogue.ensure(specs, create=create)

    async def identity(self) -> str:
        """As the interface says."""
        return str(await asyncio.to_thread(self._directory.root.resolve))

    async def partitions(self, topic: str) -> int:
        """As the interface says."""
        (found,) = await self._parts.catalogue.find([topic])
        return len(found.ids)

    async def publisher(
        self, *, ack_timeout: float = 10, max_pending_bytes: int = 64 * 1024 * 1024, relief: Relief | None = None
    ) -> EmbeddedPublisher:
        """As the interface says. What waits is counted as it is encoded, headers too."""
        del relief
        parts = self._parts
        await parts.catalogue.refresh()
        publisher = EmbeddedPublisher(parts.catalogue, parts.writers, parts.clock, ack_timeout, max_pending_bytes)
        self._publishers.append(publisher)
        parts.caretaker.start()
        return publisher

    async def transactional(self, transactional_id: str) -> EmbeddedTransactionalPublisher:
        """As the interface says. A transaction holds up to 64 MiB and writes to topics of one file."""
        parts = self._parts
        owner = EmbeddedTransactionalPublisher(transactional_id, parts.catalogue, parts.writers, parts.clock)
        await owner.claim()
        self._transactional.append(owner)
        parts.caretaker.start()
        return owner

    async def subscribe(
        self, group: str, topics: Sequence[str], listener: RebalanceListener, *, instance: str | None = None
    ) -> EmbeddedSubscription:
        """As the interface says. Raises UnknownTopic, Unavailable."""
        del instance  # there is nothing to save: a member that comes back finds its partitions as soon as it asks
        parts = self._parts
        subscription = await join_group(parts, group, topics, listener, self._subscriptions.discard)
        self._subscriptions.add(subscription)
        parts.caretaker.start()
        return subscription

    async def read(
        self,
        topic: str,
        *,
        partition: int | None = None,
        start: int = 0,
        from_beginning: bool = True,
        follow: bool = False,
    ) -> AsyncIterator[Record]:
        """As the interface says."""
        parts = self._parts
        (known,) = await parts.catalogue.find([topic])
        reader = LogReader(parts.readers, known, partition)
        if follow:
            records = reader.for_ever(parts.wakeups, start, from_beginning=from_beginning)
        elif from_beginning:
            records = reader.up_to_now(start)
        else:
            return
        async with aclosing(records):
            async for record in records:
                yield record

    async def log_ranges(self, topics: Collection[str]) -> dict[TopicPartition, LogRange]:
        """As the interface says."""
        found: dict[TopicPartition, LogRange] = {}
        for topic in await self._parts.catalogue.find(topics):
            ranges = await self._parts.readers.run(topic.file, partial(log_ranges, topics=[topic.id]))
            found.update(_by_name(topic, ranges))
        return found

    async def committed(self, group: str, topics: Collection[str]) -> dict[TopicPartition, Commit | None]:
        """As the interface says."""
        found: dict[TopicPartition, Commit | None] = {}
        for topic in await self._parts.catalogue.find(topics):
            its_places = await self._parts.readers.run(topic.file, partial(places, group=group, topics=[topic.id]))
            commits = {partition: place.commit for partition, place in its_places.items()}
            found.update(_by_name(topic, commits))
        return found

    async def members(self, group: str) -> int:
        """As the interface says. Of a group with topics of both files each member is in both."""
        session, wake = self._parts.timing.session_timeout, self._directory.wake
        count = partial(count_living, group=group, clock=self._parts.clock, session_timeout=session, wake=wake)
        return max([await self._parts.readers.run(file, count) for file in LogFile])

    async def partition_ids(self) -> Mapping[str, tuple[int, ...]]:
        """Return the topics of events there are, each with what the log knows its partitions by, in the order of their numbers."""
        found = await self._parts.catalogue.all(LogFile.EVENTS)
        return {topic.name: topic.ids for topic in found}

    async def bytes_held(self) -> int:
        """Return what the events take in their file, without what is free in it for more."""
        return await self._parts.readers.run(LogFile.EVENTS, _bytes_held)

    async def bytes_to_grow(self) -> int:
        """Return by how much the events' file grows when all that is committed has been copied into it."""
        database = self._directory.database(LogFile.EVENTS)
        return await self._parts.readers.run(LogFile.EVENTS, partial(_bytes_to_grow, path=database))

    async def while_nothing_follows(self, partition: TopicPartition, offset: int, act: Callable[[], None]) -> bool:
        """Call `act` while nobody can append anything, if the partition has nothing to read from `offset` on; return whether it had
        nothing. `act` is called in a thread. Raises UnknownTopic, Unavailable, NotAcknowledged.
        """
        (topic,) = await self._parts.catalogue.find([partition.topic])
        wanted = Wanted(topic.ids[partition.partition], partition, offset, 1, 1)
        return await self._parts.writers.of(topic.file).submit(partial(_act_on_nothing, wanted=wanted, act=act))

    def _damaged(self, partition: TopicPartition, lost: LogRange) -> None:
        self._log.error(
            "log damaged",
            topic=partition.topic,
            partition=partition.partition,
            first_offset=lost.start,
            lost_records=lost.end - lost.start,
        )

    @property
    def _parts(self) -> Parts:
        if self._started is None:
            raise Unavailable(f"the log in {self._directory.root} is not open")
        return self._started


def _bytes_held(connection: sqlite3.Connection) -> int:
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(size * (pages - free))


def _bytes_to_grow(connection: sqlite3.Connection, path: Path) -> int:
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    # Not opened: to close any descriptor of one of its files would take SQLite's locks from it.
    return max(0, int(size * pages) - path.stat().st_size)


def _act_on_nothing(connection: sqlite3.Connection, wanted: Wanted, act: Callable[[], None]) -> bool:
    with transaction(connection):
        (fetched,) = fetch(connection, [wanted], damaged=lambda _place, _lost: None)
        if fetched.records:
            return False
        act()
        return True


def _by_name(topic: Topic, by_id: Mapping[int, T]) -> dict[TopicPartition, T]:
    return {name: by_id[partition] for partition, name in zip(topic.ids, topic.partitions(), strict=True)}


def _close_threads(parts: Parts) -> None:
    parts.caretaker.stop()
    parts.writers.close()
    parts.readers.close()
    parts.sender.close()
