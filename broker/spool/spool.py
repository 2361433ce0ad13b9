"""The spool: an embedded log of its own, a lane for each topic partition, which drains into Kafka when that is back.

G3 holds by one rule: while a lane is not OPEN, everything that comes for it goes behind what is spooled. That it is not is seen to, once
more, after an append is durable and before its caller hears of it; it is OPEN again under the lock that every append needs, when nothing is
left.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from broker.embedded.broker import EmbeddedBroker
from broker.embedded.timing import Timing
from broker.interface import BrokerError, TopicPartition, Unavailable, UnknownTopic
from broker.spool.drain import Drain
from broker.spool.flags import LANES, OPEN, Flags
from broker.spool.inspection import Guard, inspect, put_aside
from broker.spool.lanes import GROUP, lane_spec, place_of
from broker.spool.memory import ForAnotherKafka, Memory, recall, remember
from broker.spool.publisher import pass_on
from broker.spool.reserve import Reserve
from broker.spool.room import Room

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from structlog.typing import FilteringBoundLogger

    from broker.embedded.publisher import EmbeddedPublisher
    from broker.interface import Message, Publisher, Stranded
    from runtime.clock import Clock
    from runtime.metrics import Metrics

ACK_TIMEOUT_SECONDS: Final = 10.0
_PENDING_BYTES: Final = 128 * 1024 * 1024
_TRY_SECONDS: Final = 1.0
_TIMING: Final = Timing(retention=1.0)


class Spool:
    """One gateway's. Life: construct → `start` → `drain_into`, after a `claim` → `state`, `append`, `relieve`, `open_lanes` … → `close`.
    It takes records from `start` on. Several processes may share one directory.
    """

    def __init__(self, path: str, max_bytes: int, metrics: Metrics, log: FilteringBoundLogger, clock: Clock) -> None:
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._log = log.bind(spool=path)
        self._clock = clock
        self._guard: Guard | None = None
        self._store = EmbeddedBroker(path, metrics, log, clock, _TIMING, skip_damaged=True)
        self._lanes: dict[tuple[str, int], tuple[int, str]] = {}
        self._partitions: dict[str, int] = {}
        self._cluster: str | None = None
        self._flags: Flags | None = None
        self._publisher: EmbeddedPublisher | None = None
        self._room: Room | None = None
        self._drain: Drain | None = None
        self._next_try = float("-inf")

    async def remembered(self, topics: Collection[str]) -> Mapping[str, int] | None:
        """Return how many partitions each of `topics` had when the spool was last claimed; None when it does not know all of them. May be
        called before `start`. Raises Unavailable.
        """
        memory = await self._recall()
        if memory is None or not memory.partitions.keys() >= set(topics):
            return None
        return {topic: memory.partitions[topic] for topic in topics}

    async def start(self, partitions: Mapping[str, int]) -> None:
        """Open lanes for these topics, by their partition counts, and find what was left. Raises Unavailable when the directory cannot be
        used.
        """
        try:
            self._guard = await asyncio.to_thread(Guard, self._path)
            if self._guard.alone:
                await self._inspect()
            await self._store.start()
            self._guard.share()
            self._flags = await asyncio.to_thread(Flags, self._path / "flags")
        except OSError as error:
            raise self._unusable(error) from error
        await self.open_lanes(partitions)
        await self._flag_what_is_left()
        self._publisher = await self._store.publisher(ack_timeout=ACK_TIMEOUT_SECONDS, max_pending_bytes=_PENDING_BYTES)
        reserve = Reserve(self._path, self._max_bytes)
        self._room = Room(self._store, reserve, self._max_bytes, self._clock, self._metrics.spool_bytes)
        await self._room.start()

    async def open_lanes(self, partitions: Mapping[str, int]) -> None:
        """Open lanes for these topics, by their partition counts, beside those that are open. Raises Unavailable."""
        await self._store.ensure_topics([lane_spec(topic, count) for topic, count in partitions.items()])
        ids = await self._store.partition_ids()
        if any(max(its_ids) >= LANES for its_ids in ids.values()):
            raise Unavailable(f"the spool {self._path} has had more than {LANES} lanes: empty it, and remove it")
        if self._drain is not None:
            await self._drain_also(self._drain, ids)
        for name, its_ids in ids.items():
            topic, count = place_of(name)
            if partitions.get(topic) == count:
                self._lanes |= {(topic, number): (id_, name) for number, id_ in enumerate(its_ids)}
        self._partitions |= partitions
        if self._cluster is not None:
            await self._remember(self._cluster)

    async def claim(self, cluster: str) -> None:
        """Take note that Kafka has been reached, and that it calls itself `cluster`: what is spooled is for that one. Raises
        ForAnotherKafka when the spool holds something that is for another, Unavailable.
        """
        memory = await self._recall()
        if memory is not None and memory.cluster != cluster:
            left = sum((await self._waiting()).values())
            if left:
                raise ForAnotherKafka(
                    f"the spool {self._path} holds {left} records for the Kafka whose cluster id is {memory.cluster}, and"
                    f" broker.bootstrap_servers leads to {cluster}: let them drain into the one that they are for, or set"
                    " gateway.spool_path to another directory"
                )
            self._log.warning("spool for another kafka now: it was empty", before=memory.cluster, cluster=cluster)
        self._cluster = cluster
        await self._remember(cluster)

    async def drain_into(self, publisher: Publisher) -> None:
        """Hand what is spooled to `publisher` from now on, which is the spool's then."""
        if self._drain is not None:
            self._drain.publisher = publisher
            return
        self._drain = await self._draining(publisher, await self._store.partition_ids())

    async def _drain_also(self, before: Drain, ids: Mapping[str, Collection[int]]) -> None:
        """Let a drain that knows all lanes take over from one that does not. Until it is there, the other goes on."""
        if before.topics.issuperset(ids):
            return
        self._drain = await self._draining(before.publisher, ids)
        await before.close()

    async def _draining(self, publisher: Publisher, ids: Mapping[str, Collection[int]]) -> Drain:
        assert self._flags is not None  # noqa: S101  # started
        lanes = {TopicPartition(name, number): id_ for name, its in ids.items() for number, id_ in enumerate(its)}
        drain = Drain(self._store, publisher, self._flags, lanes, self._metrics, self._log, self._clock)
        await drain.start()
        return drain

    def state(self, topic: str, partition: int) -> int:
        """Return how the partition's lane is: OPEN, SPOOLED or CLOSING. Does not wait."""
        lane = self._lanes.get((topic, partition))
        return OPEN if lane is None or self._flags is None else self._flags[lane[0]]

    def append(
        self, topic: str, partition: int, messages: Sequence[Message], *, precious: bool = False
    ) -> asyncio.Future[None]:
        """Spool messages of a partition; the future is done when they are on the disk, with the lane's flag set. `precious` ones may
        use the last tenth of the room. Raises SpoolFull, RecordTooLarge, UnknownTopic, Full, Unavailable.
        """
        assert self._room is not None  # noqa: S101  # started
        assert self._publisher is not None  # noqa: S101  # started
        fault, now = self._publisher.fault(), self._clock.monotonic()
        if fault is not None:
            # Who waits for a disk that takes nothing waits for long: one a second finds out whether it does again.
            if now < self._next_try:
                raise Unavailable(fault)
            self._next_try = now + _TRY_SECONDS
        self._room.take(messages, precious=precious)
        return self._append(topic, partition, messages)

    def relieve(self, topic: str, partition: int, stranded: Sequence[Stranded], reason: str) -> None:
        """Take over what Kafka does not acknowledge; see `broker.interface.Relief`. It was let in before: only a full disk refuses it."""
        lane = self._lanes.get((topic, partition))
        if lane is not None and self._flags is not None:
            if not self._flags[lane[0]]:
                self._log.warning("spooling", topic=topic, partition=partition, reason=reason)
            self._flags.spool(lane[0])
        for call in stranded:
            try:
                if self._room is not None:
                    self._room.take_on(call.messages)
                written = self._append(topic, partition, call.messages)
            except BrokerError as error:
                _fail(call.future, error)
            else:
                written.add_done_callback(partial(pass_on, to=call.future))

    def fault(self) -> str | None:
        """Return why nothing more can be spooled, in an operator's words; None while it can. Does not wait."""
        if self._publisher is None or self._room is None:
            return f"the spool {self._path} is not open"
        return self._publisher.fault() or self._room.fault()

    async def close(self) -> None:
        """Write what is handed over, stop draining; what is spooled stays for the next start. Idempotent."""
        if self._drain is not None:
            await self._drain.close()
        if self._room is not None:
            await self._room.close()
        await self._store.close()
        if self._flags is not None:
            self._flags.close()
            self._flags = None
        if self._guard is not None:
            self._guard.release()

    def _append(self, topic: str, partition: int, messages: Sequence[Message]) -> asyncio.Future[None]:
        if self._publisher is None or self._flags is None:
            raise Unavailable(f"the spool {self._path} is not open")
        lane = self._lanes.get((topic, partition))
        if lane is None:
            raise UnknownTopic(f"the spool has no lane for {topic}/{partition}")
        id_, name = lane
        written = self._publisher.publish(name, partition, messages)
        # Before the caller's own callbacks: they are called in the order in which they were added.
        written.add_done_callback(partial(self._flag, lane=id_))
        return written

    def _flag(self, written: asyncio.Future[None], lane: int) -> None:
        # It may be OPEN since the call, by who drained the lane before this was written.
        if not written.cancelled() and written.exception() is None and self._flags is not None:
            self._flags.keep(lane)

    async def _inspect(self) -> None:
        found = await asyncio.to_thread(inspect, self._path)
        if found.torn_pages:
            self._log.warning("spool torn at its end: what is no whole transaction is not used", pages=found.torn_pages)
        if found.damage is not None:
            aside = await asyncio.to_thread(put_aside, self._path, f"damaged-{int(self._clock.now())}")
            self._log.error("spool damaged: events in it cannot be delivered", reason=found.damage, kept_in=str(aside))

    async def _flag_what_is_left(self) -> None:
        assert self._flags is not None  # noqa: S101  # `start` opened them
        waiting = await self._waiting()
        for lane in waiting:
            self._flags.spool(lane)
        if waiting:
            left = sum(waiting.values())
            self._log.warning("spool found: it is drained before anything new", records=left)

    async def _waiting(self) -> Mapping[int, int]:
        """Return how many records each lane holds that are not drained, without those that hold none."""
        ids = await self._store.partition_ids()
        ranges = await self._store.log_ranges(ids)
        commits = await self._store.committed(GROUP, ids)
        waiting: dict[int, int] = {}
        for name, its_ids in ids.items():
            for number, id_ in enumerate(its_ids):
                place = TopicPartition(name, number)
                commit = commits[place]
                left = ranges[place].end - (ranges[place].start if commit is None else commit.offset)
                if left:
                    waiting[id_] = left
        return waiting

    async def _recall(self) -> Memory | None:
        try:
            return await asyncio.to_thread(recall, self._path)
        except OSError as error:
            raise self._unusable(error) from error

    async def _remember(self, cluster: str) -> None:
        before = await self._recall()
        known = before.partitions if before is not None and before.cluster == cluster else {}
        now = Memory(cluster, {**known, **self._partitions})
        if now != before:
            try:
                await asyncio.to_thread(remember, self._path, now)
            except OSError as error:
                raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> Unavailable:
        return Unavailable(f"the spool {self._path} cannot be used: {error.strerror}; set gateway.spool_path")


def _fail(future: asyncio.Future[None], error: BrokerError) -> None:
    if not future.done():
        future.set_exception(error)
