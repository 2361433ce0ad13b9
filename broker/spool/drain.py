"""From the spool into Kafka: each lane in its order, one process for each lane, until nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from broker.interface import BrokerError, Commit, RebalanceListener, TopicPartition, Unavailable
from broker.spool.flags import CLOSING, OPEN, SPOOLED
from broker.spool.lanes import GROUP, place_of
from schemas.topics import EVENTS_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from structlog.typing import FilteringBoundLogger

    from broker.embedded.broker import EmbeddedBroker
    from broker.interface import Assignment, Publisher, Record, Subscription
    from broker.spool.flags import Flags
    from runtime.clock import Clock
    from runtime.metrics import Metrics

_IN_HAND: Final = 2_000
"""Records of a lane that are read ahead."""
_AT_ONCE: Final = 500
"""Records of a lane that are published together."""
_POLL_SECONDS: Final = 0.2
_CLOSING_POLL_SECONDS: Final = 0.005
_COMMIT_SECONDS: Final = 0.1
CLOSING_SECONDS: Final = 1.0
"""How long those who send wait for a lane that closes."""
_REPORT_SECONDS: Final = 1.0
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 5.0


class _Lane:
    """One partition of the spool that this process drains. `position`: the first offset that Kafka has not acknowledged."""

    def __init__(self, place: TopicPartition, number: int, position: int) -> None:
        self.place = place
        self.number = number
        self.topic, _ = place_of(place.topic)
        self.position = position
        self.committed = position
        self.records: deque[Record] = deque()
        self.stirred = asyncio.Event()
        self.under_way: Sequence[Record] = ()
        self.failing = False
        self.closing_since = self.rests_until = float("-inf")
        self.task: asyncio.Task[None] | None = None

    @property
    def oldest(self) -> float:
        """When the first record that Kafka has not acknowledged was spooled, Unix time; 0 when none was read."""
        first = self.under_way[0] if self.under_way else self.records[0] if self.records else None
        return 0.0 if first is None else first.timestamp / 1000

    @property
    def idle(self) -> bool:
        """Whether nothing that was read is left to be published."""
        return not self.records and not self.under_way


class Drain(RebalanceListener):
    """Life: construct → `start` → `close`. `lanes` are the numbers of the spool's partitions among the flags, `topics` what the spool
    calls them.
    """

    def __init__(
        self,
        store: EmbeddedBroker,
        publisher: Publisher,
        flags: Flags,
        lanes: Mapping[TopicPartition, int],
        metrics: Metrics,
        log: FilteringBoundLogger,
        clock: Clock,
    ) -> None:
        self.publisher = publisher
        self.topics = frozenset(place.topic for place in lanes)
        self._store = store
        self._flags = flags
        self._numbers = lanes
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._owned: dict[TopicPartition, _Lane] = {}
        self._closing: dict[TopicPartition, _Lane] = {}
        self._hungry = asyncio.Event()
        self._subscription: Subscription | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Join those who drain. Raises Unavailable."""
        self._subscription = subscription = await self._store.subscribe(GROUP, sorted(self.topics), self)
        self._tasks = [
            asyncio.create_task(self._read(subscription), name="spool reader"),
            asyncio.create_task(self._commit_on(subscription), name="spool commits"),
        ]

    async def close(self) -> None:
        """Stop; what was acknowledged is committed. Idempotent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._subscription is not None:
            await self._subscription.close()
            self._subscription = None

    async def assigned(self, assignments: Sequence[Assignment]) -> None:
        """Drain these from now on."""
        for each in assignments:
            lane = _Lane(each.partition, self._numbers[each.partition], each.position)
            if self._flags[lane.number] == CLOSING:
                self._flags.spool(lane.number)  # whoever closed it died over it
            lane.task = asyncio.create_task(self._publish(lane), name=f"spool {each.partition}")
            self._owned[each.partition] = lane

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Leave these to another process, which begins where Kafka had acknowledged."""
        gone = [self._owned.pop(place) for place in partitions]
        for place in partitions:
            self._closing.pop(place, None)
        tasks = [lane.task for lane in gone if lane.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._subscription is not None:
            await self._commit(self._subscription, gone)

    async def _read(self, subscription: Subscription) -> None:
        """Read ahead for the lanes, and clear the flag of each that has nothing left."""
        while True:
            self._hungry.clear()
            hungry = [lane for lane in self._owned.values() if len(lane.records) < _IN_HAND]
            try:
                patience = 0 if not hungry else _CLOSING_POLL_SECONDS if self._closing else _POLL_SECONDS
                polled = await subscription.poll(patience, [lane.place for lane in hungry], _IN_HAND)
            except Unavailable as error:
                self._log.warning("spool not readable", reason=str(error))
                await self._clock.sleep(_LONGEST_WAIT_SECONDS)
                continue
            for place, records in polled.items():
                lane = self._owned[place]
                lane.records.extend(records)
                lane.stirred.set()
            if not polled and hungry:
                await self._settle(closing=False)
            elif self._closing:
                await self._settle(closing=True)
            if not hungry:
                await self._rest()

    async def _rest(self) -> None:
        """Wait until some lane can take more, but not so long that the others would miss this member."""
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await self._hungry.wait()
        except TimeoutError:
            return

    async def _settle(self, *, closing: bool) -> None:
        """Open the lanes that are drained, or only those among the ones that close."""
        among = self._closing if closing else self._owned
        for lane in [each for each in among.values() if each.idle and self._flags[each.number] != OPEN]:
            opened = partial(self._flags.open, lane.number)
            try:
                drained = await self._store.while_nothing_follows(lane.place, lane.position, opened)
            except BrokerError as error:
                self._log.warning("spool not looked through", reason=str(error))
                return
            if drained:
                self._closing.pop(lane.place, None)
                self._log.info("spool drained", topic=lane.topic, partition=lane.place.partition)

    async def _close_in(self) -> None:
        """Close the lanes of which little is left, as far as Kafka takes it; not for long, for those who send wait."""
        now = self._clock.monotonic()
        for lane in [each for each in self._closing.values() if now - each.closing_since > CLOSING_SECONDS]:
            self._flags.spool(lane.number)
            del self._closing[lane.place]
            lane.rests_until = now + _LONGEST_WAIT_SECONDS
        due = [
            lane
            for lane in self._owned.values()
            if lane.place not in self._closing
            and not lane.failing
            and now >= lane.rests_until
            and self._flags[lane.number] == SPOOLED
        ]
        ends = await self._store.log_ranges({lane.place.topic for lane in due})
        for lane in due:
            # It may have been given away, or drained, while the ends were asked for.
            still = self._owned.get(lane.place) is lane and self._flags[lane.number] == SPOOLED
            if still and ends[lane.place].end - lane.position <= _IN_HAND:
                lane.closing_since = now
                self._closing[lane.place] = lane
                self._flags.close_in(lane.number)
                self._hungry.set()

    async def _publish(self, lane: _Lane) -> None:
        while True:
            while not lane.records:
                lane.stirred.clear()
                await lane.stirred.wait()
            some = [lane.records.popleft() for _ in range(min(_AT_ONCE, len(lane.records)))]
            lane.under_way = some
            await self._deliver(lane, some)
            lane.under_way = ()
            lane.position = some[-1].offset + 1
            if len(lane.records) < _IN_HAND:
                self._hungry.set()

    async def _deliver(self, lane: _Lane, records: Sequence[Record]) -> None:
        """Publish until it is acknowledged."""
        messages = [(each.key, each.value, list(each.headers)) for each in records]
        wait, told = _FIRST_WAIT_SECONDS, ""
        while True:
            try:
                await self.publisher.publish(lane.topic, lane.place.partition, messages)
            except BrokerError as error:
                lane.failing = True
                if str(error) != told and wait >= _LONGEST_WAIT_SECONDS:
                    told = str(error)
                    self._log.warning("spool waits", topic=lane.topic, partition=lane.place.partition, reason=told)
                await self._clock.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - spreads the lanes, guards nothing
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
            else:
                lane.failing = False
                return

    async def _commit_on(self, subscription: Subscription) -> None:
        reported = float("-inf")
        while True:
            await self._clock.sleep(_COMMIT_SECONDS)
            await self._commit(subscription, list(self._owned.values()))
            with contextlib.suppress(Unavailable):  # who reads the lanes says so
                await self._close_in()
            if self._clock.monotonic() - reported >= _REPORT_SECONDS:
                reported = self._clock.monotonic()
                with contextlib.suppress(Unavailable):  # who reads the lanes says so
                    await self._report()

    async def _commit(self, subscription: Subscription, lanes: Collection[_Lane]) -> None:
        """Note durably what need not be sent again. Where it fails it is tried again: a repetition is all that it can cost."""
        due = [lane for lane in lanes if lane.position > lane.committed]
        if not due:
            return
        places = {lane.place: lane.position for lane in due}
        try:
            await subscription.commit({place: Commit(position, "") for place, position in places.items()})
        except BrokerError as error:
            self._log.warning("spool not committed", reason=str(error))
            return
        for lane in due:
            lane.committed = places[lane.place]

    async def _report(self) -> None:
        """Say how much of the lanes is left, and since when the oldest of it waits."""
        waiting: dict[str, int] = {}
        oldest = 0.0
        busy = [lane for lane in self._owned.values() if not lane.idle]
        ends = await self._store.log_ranges({lane.place.topic for lane in busy})
        for lane in self._owned.values():
            name = lane.topic.removeprefix(EVENTS_PREFIX)
            # Some may have got something to do while the ends were asked for: they are told of the next time.
            left = ends[lane.place].end - lane.position if lane.place in ends else 0
            waiting[name] = waiting.get(name, 0) + left
            if lane.oldest:
                oldest = min(oldest or lane.oldest, lane.oldest)
        for name, records in waiting.items():
            self._metrics.spool_records.labels(name).set(records)
        self._metrics.spool_oldest_timestamp_seconds.set(oldest)
