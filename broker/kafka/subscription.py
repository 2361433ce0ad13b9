"""A member of a consumer group on Kafka."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from broker.interface import Assignment, Fenced, Subscription, TopicPartition, Unavailable
from broker.kafka import inside
from broker.kafka.connection import REQUEST_TIMEOUT_MS
from broker.kafka.fetched import with_lean_records
from broker.kafka.rebalance import OVERDUE_SECONDS, REBALANCE_SECONDS, Rebalance, positions
from broker.kafka.refusals import said
from broker.kafka.teardown import stop_within

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Commit, RebalanceListener, Record
    from broker.kafka.admin import Admin
    from broker.kafka.connection import Connection
    from runtime.clock import Clock

METADATA_BYTES = 4_000

_SESSION_SECONDS = 6.0
"""After how long a silent member is thrown out."""
_STATIC_SESSION_SECONDS = 45.0
"""The same of one with a name of its own: as long as a restart may take."""

_BUFFER_BYTES = 24 * 1024 * 1024
_LEAST_FETCH_BYTES = 64 * 1024
_MOST_FETCH_BYTES = 1024 * 1024
_RESPONSE_BYTES = 8 * 1024 * 1024

_COMMIT_SECONDS = 10.0
_SILENCE_SECONDS = 15.0
_GIVE_UP_SECONDS = 60.0
_START_SECONDS = 15.0
_STOP_SECONDS = 3.0

_NOWHERE = ClientPartition("", -1)
"""Asking for records of this partition asks for none, and shows the group that we are alive."""


class KafkaSubscription(Subscription):
    """See `broker.interface.Subscription`. Life: `join` (by KafkaBroker) → as there.

    `partitions` is how many there are to share among the members: so many share the memory for what is fetched ahead.
    With an `instance` it is a static member (KIP-345).
    """

    def __init__(
        self,
        connection: Connection,
        admin: Admin,
        log: FilteringBoundLogger,
        clock: Clock,
        *,
        group: str,
        topics: Sequence[str],
        partitions: int,
        listener: RebalanceListener,
        instance: str | None = None,
    ) -> None:
        self._connection = connection
        self._admin = admin
        self._log = log.bind(group=group)
        self._clock = clock
        self._group = group
        self._topics = list(topics)
        self._partitions = max(1, partitions)
        self._listener = listener
        self._instance = instance
        self._session_seconds = _SESSION_SECONDS if instance is None else _STATIC_SESSION_SECONDS
        self._consumer: Any = None
        self._rebalance = Rebalance(group, admin)
        self._owned: dict[TopicPartition, Assignment] = {}
        self._stranded: set[TopicPartition] = set()
        self._silent_since = clock.monotonic()
        self._unsettled_since: float | None = None
        self._last_heard: Callable[[], float] = lambda: float("-inf")
        self._given_up: str | None = None
        self._polling = asyncio.Lock()
        self._closed = False

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        """What the listener was told that it owns."""
        return frozenset(self._owned)

    async def join(self) -> None:
        """Connect and begin to join, which goes on in the background. Raises Unavailable."""
        inside.with_lasting_zstd()
        with_lean_records()
        rebalance = Rebalance(self._group, self._admin)
        consumer = inside.paced(
            AIOKafkaConsumer(
                **self._connection.arguments(),
                group_id=self._group,
                group_instance_id=self._instance,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                metadata_max_age_ms=5_000,
                heartbeat_interval_ms=1_000,
                session_timeout_ms=int(self._session_seconds * 1000),
                rebalance_timeout_ms=int(REBALANCE_SECONDS * 1000),
                max_poll_interval_ms=300_000,
                fetch_max_wait_ms=min(500, max(100, self._partitions)),
                fetch_max_bytes=_RESPONSE_BYTES,
                max_partition_fetch_bytes=min(
                    _MOST_FETCH_BYTES, max(_LEAST_FETCH_BYTES, _BUFFER_BYTES // self._partitions)
                ),
            )
        )
        rebalance.attach(consumer)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await consumer.start()
        except BaseException as error:
            await stop_within(consumer, 0)
            if isinstance(error, KafkaError | OSError | TimeoutError):
                raise Unavailable(f"Kafka at {self._connection.servers} cannot be read: {said(error)}") from None
            raise
        inside.with_members_commits_only(consumer)
        self._last_heard = inside.last_heard(consumer, self._clock.monotonic)
        consumer.subscribe(topics=self._topics, listener=rebalance)
        self._consumer, self._rebalance = consumer, rebalance
        self._silent_since = self._clock.monotonic()

    async def poll(
        self,
        timeout: float,  # noqa: ASYNC109  # the interface's
        partitions: Collection[TopicPartition] | None = None,
        max_records: int = 10_000,
    ) -> Mapping[TopicPartition, Sequence[Record]]:
        """See the interface. Raises Unavailable too when nothing was heard of Kafka for 15 s, or nothing assigned for 25 s."""
        deadline = self._clock.monotonic() + timeout
        # With a backlog, or when closed, nothing below waits: others must have their turn.
        await asyncio.sleep(0)
        async with self._polling:
            while not self._closed:
                await self._revive()
                self._rebalance.arm()
                await self._tell()
                records = await self._take(partitions, max_records)
                if records:
                    return records
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    self._complain(partitions)
                    break
                await self._wait(left)
            return {}

    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        """See the interface. When a partition is not owned, nothing is written for any. Raises ValueError for more than 4,000
        bytes beside an offset.
        """
        foreign = [partition for partition in commits if partition not in self._owned]
        if foreign or self._consumer is None:
            raise Fenced(f"group {self._group} gave to others: {', '.join(map(_name, foreign or commits))}")
        if self._rebalance.moved_on or not inside.is_member(self._consumer):
            raise Fenced(f"group {self._group} went on without this member")
        for partition, commit in commits.items():
            if len(commit.metadata.encode()) > METADATA_BYTES:
                raise ValueError(f"{_name(partition)}: more than {METADATA_BYTES} bytes beside a commit")
        if not commits:
            return
        places = {
            ClientPartition(*partition): (commit.offset, commit.metadata) for partition, commit in commits.items()
        }
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                await self._consumer.commit(places)
        except TimeoutError:
            raise Unavailable(f"Kafka did not take a commit of group {self._group} in {_COMMIT_SECONDS:g} s") from None
        except (CommitFailedError, IllegalStateError) as error:
            raise Fenced(f"group {self._group} went on without this member: {said(error)}") from None
        except KafkaError as error:
            raise Unavailable(f"Kafka does not take commits of group {self._group}: {said(error)}") from None

    def held_until(self) -> float:
        """See the interface."""
        if self._consumer is None or self._rebalance.moved_on or not inside.is_member(self._consumer):
            return float("-inf")
        return self._last_heard() + self._session_seconds

    async def close(self) -> None:
        """See the interface. What the listener raises is logged: there is nobody to hand it to."""
        if self._closed:
            return
        self._closed = True
        self._rebalance.wake()
        async with self._polling:
            try:
                await self._tell_revoked()
            except Exception as error:  # noqa: BLE001 - whatever it is, the member must leave its group
                self._log.error("listener failed while closing", exc_info=error)
            self._rebalance.close()
            if self._consumer is not None:
                await stop_within(self._consumer, _STOP_SECONDS)
                self._consumer = None

    async def _tell(self) -> None:
        """Tell the listener what changed."""
        rebalance = self._rebalance
        rebalance.raise_failure()
        if rebalance.leaving:
            await self._tell_revoked()
        if rebalance.fresh is not None:
            assignments = rebalance.fresh
            rebalance.took_over()
            self._silent_since = self._clock.monotonic()
            self._unsettled_since = None
            self._stranded.clear()
            self._owned = {each.partition: each for each in assignments}
            if assignments:
                await self._listener.assigned(assignments)
        while self._stranded:
            await self._tell_stranded(self._stranded.pop())

    async def _tell_revoked(self) -> None:
        """Whatever the listener raises, the group does not wait for it any longer."""
        try:
            if self._owned:
                await self._listener.revoked(tuple(self._owned))
        finally:
            self._owned = {}
            self._rebalance.left()

    async def _tell_stranded(self, partition: TopicPartition) -> None:
        """Give a partition whose log went away from under the position to its owner anew, as out of range."""
        try:
            (found,) = await positions(self._admin, self._group, [partition])
        except Unavailable:
            self._stranded.add(partition)
            raise
        if partition not in self._owned:
            return
        stranded = Assignment(partition, self._owned[partition].position, found.commit, found.log, out_of_range=True)
        self._log.error("offset out of range", topic=partition.topic, partition=partition.partition, log=found.log)
        await self._listener.revoked([partition])
        self._owned[partition] = stranded
        await self._listener.assigned([stranded])

    async def _take(
        self, partitions: Collection[TopicPartition] | None, max_records: int
    ) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return what was fetched already. Never waits: see `inside.data_waiter`."""
        consumer = self._consumer
        try:
            if not self._rebalance.settled or self._rebalance.leaving:
                inside.raise_group_errors(consumer)
                return {}
            wanted = self._wanted(partitions)
            # Asked for nothing in particular, aiokafka need not look for each partition in a list.
            everything = len(wanted) == len(self._owned) > 0
            asked = [] if everything else [ClientPartition(*each) for each in wanted] or [_NOWHERE]
            records: Mapping[TopicPartition, Sequence[Record]] = await consumer.getmany(
                *asked, timeout_ms=0, max_records=max_records
            )
        except OffsetOutOfRangeError as error:
            for partition in error.args[0]:
                consumer.pause(partition)
                self._stranded.add(TopicPartition(*partition))
            self._rebalance.wake()
            return {}
        except NoOffsetForPartitionError:
            # Noted before `place` put the consumer where it belongs.
            return {}
        except KafkaError as error:
            raise Unavailable(f"group {self._group} cannot read: {said(error)}") from None
        return records

    def _wanted(self, partitions: Collection[TopicPartition] | None) -> list[TopicPartition]:
        owned = self._owned
        among = owned if partitions is None else partitions
        return [each for each in among if (assignment := owned.get(each)) is not None and not assignment.out_of_range]

    async def _wait(self, seconds: float) -> None:
        """Wait for records, for a rebalance, or until the time is up."""
        arrived = inside.data_waiter(self._consumer)
        try:
            await asyncio.wait({arrived, self._rebalance.woken}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not arrived.cancel() and not arrived.cancelled():
                arrived.exception()  # what it is, the next look tells

    def _complain(self, partitions: Collection[TopicPartition] | None) -> None:
        """Raise Unavailable when nothing was heard for long, although something should have been."""
        now = self._clock.monotonic()
        if not self._rebalance.settled:
            if self._rebalance.fault is not None:
                raise self._rebalance.fault
            self._unsettled_since = self._unsettled_since or now
            # Joining anew may cure it, and ends none of the time in which nothing was owned.
            if now - max(self._unsettled_since, self._silent_since) > REBALANCE_SECONDS + _SILENCE_SECONDS:
                self._given_up = "no assignment"
            elif now - self._unsettled_since > OVERDUE_SECONDS:
                raise Unavailable(f"group {self._group} gave no assignment for more than {OVERDUE_SECONDS:g} s")
        else:
            silent = now - self._silent_since
            wanted = self._wanted(partitions)
            heard = [self._consumer.last_poll_timestamp(ClientPartition(*each)) for each in wanted]
            latest = max((each for each in heard if each is not None), default=0) / 1000
            silent = min(silent, self._clock.now() - latest) if wanted else 0.0
            if silent > _GIVE_UP_SECONDS:
                # All brokers may have moved, and aiokafka would never look for them where it began.
                self._given_up = f"nothing was heard for {silent:.0f} s"
            if silent > _SILENCE_SECONDS:
                raise Unavailable(f"nothing was heard of Kafka at {self._connection.servers} for {silent:.0f} s")
        if self._given_up is not None:
            raise Unavailable(f"group {self._group} at Kafka {self._connection.servers}: {self._given_up}")

    async def _revive(self) -> None:
        """Join anew when the consumer broke, or when nothing was heard through it for a minute. Raises Unavailable."""
        if self._consumer is not None:
            reason = inside.ended(self._consumer) or self._given_up
            if reason is None:
                return
            self._given_up = None
            self._log.error("joining the group anew", reason=reason)
            try:
                # While it lives its commits may still be taken.
                await self._tell_revoked()
            finally:
                broken, self._consumer = self._consumer, None
                self._rebalance.close()
                await stop_within(broken, _STOP_SECONDS)
        await self.join()


def _name(partition: TopicPartition) -> str:
    return f"{partition[0]}/{partition[1]}"
