"""Whether what waits moves: the forwarder's own watch over itself, for readiness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from broker.interface import BrokerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from structlog.typing import FilteringBoundLogger

    from broker.interface import LogRange, TopicPartition
    from consumers.offsets.tracker import Tracker
    from runtime.clock import Clock

LOOK_SECONDS: Final = 15.0
STUCK_SECONDS: Final = 120.0
"""Much longer than a request may take, and the wait before it is tried again."""


class Way(Protocol):
    """Where a partition's records go."""

    @property
    def hungry(self) -> bool:
        """Whether more is to be read."""

    def excuse(self, seconds: float) -> bool:
        """Whether something that is told elsewhere keeps records back, or did so in the last `seconds`."""


class _Seen(NamedTuple):
    """How far an assignment of a partition had come, in reading and finishing, and since when it stands there although records wait and
    nothing explains it. `turn`: of its topic so many are finished when all that was read before is, and with it this partition's.
    """

    tracker: Tracker
    read: int
    finished: int
    since: float
    turn: int


class Progress:
    """Looks every 15 s which of the owned partitions has records to deliver and delivers none.

    That is a fault of ours, or of a library: a reader that hangs, a batch that is forgotten. A storefront that rests, is
    paused, awaits its turn at its origin, or whose requests fail, is none; nor a partition that waits behind others of a
    storefront that is slow. `trackers`: what is owned; `ways`: by topic; `ranges` returns what the partitions of topics
    hold and raises BrokerError.
    """

    def __init__(
        self,
        trackers: Callable[[], Mapping[TopicPartition, Tracker]],
        ways: Mapping[str, Way],
        ranges: Callable[[Collection[str]], Awaitable[Mapping[TopicPartition, LogRange]]],
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._trackers = trackers
        self._ways = ways
        self._ranges = ranges
        self._clock = clock
        self._log = log
        self._seen: dict[TopicPartition, _Seen] = {}
        self._stuck: tuple[TopicPartition, ...] = ()

    def fault(self) -> str | None:
        """Return what does not move, in an operator's words; None while all does."""
        if not self._stuck:
            return None
        names = ", ".join(f"{topic}/{number}" for topic, number in self._stuck)
        return (
            f"records wait, nothing holds them back, and none was delivered for {STUCK_SECONDS:.0f} s or more: {names}"
        )

    async def run(self) -> None:
        """Look for ever; to be cancelled. While the log cannot be asked, what was seen last stands: that it is away is told elsewhere."""
        while True:
            try:
                await self.look()
            except BrokerError as error:
                self._log.debug("progress cannot be judged", error=str(error))
            await self._clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once. Raises BrokerError."""
        topics = {partition.topic for partition in self._trackers()}
        ranges = await self._ranges(topics) if topics else {}
        now = self._clock.monotonic()
        # What is owned may have changed meanwhile.
        trackers = dict(self._trackers())
        queues = {topic: _Queue(self._seen, trackers, topic) for topic, _ in trackers}
        before, self._seen = self._seen, {}
        for partition, tracker in trackers.items():
            waits = partition in ranges and ranges[partition].end > tracker.finished
            seen = before.get(partition)
            queue, way = queues[partition.topic], self._ways[partition.topic]
            if (
                not waits
                or seen is None
                or _moved(seen, tracker)
                or way.excuse(LOOK_SECONDS)
                or queue.explains(seen, hungry=way.hungry)
            ):
                turn = seen.turn if seen is not None and not _moved(seen, tracker) else queue.end
                seen = _Seen(tracker, tracker.next_offset, tracker.finished, now, turn)
            self._seen[partition] = seen
        stuck = tuple(sorted(each for each, seen in self._seen.items() if now - seen.since >= STUCK_SECONDS))
        if stuck and stuck != self._stuck:
            self._log.error("nothing moves", partitions=[f"{topic}/{number}" for topic, number in stuck])
        elif self._stuck and not stuck:
            self._log.info("everything moves again")
        self._stuck = stuck


class _Queue:
    """What a topic's partitions hold together. A storefront's records are sent in the order they were read, whichever partition they
    stand in.
    """

    def __init__(
        self, before: Mapping[TopicPartition, _Seen], trackers: Mapping[TopicPartition, Tracker], topic: str
    ) -> None:
        here = {partition: tracker for partition, tracker in trackers.items() if partition.topic == topic}
        self._moves = any(each in before and _moved(before[each], tracker) for each, tracker in here.items())
        self._finished = sum(tracker.finished for tracker in here.values())
        self.end = sum(tracker.next_offset for tracker in here.values())
        """How many are finished when all are that were read by now."""

    def explains(self, seen: _Seen, *, hungry: bool) -> bool:
        """Whether a partition that stands awaits its turn: to be sent, or to be read, behind others that move."""
        unread = seen.read == seen.finished
        return self._moves and (not hungry if unread else self._finished < seen.turn)


def _moved(seen: _Seen, tracker: Tracker) -> bool:
    """Whether anything was read or finished since, or the partition was lost and regained."""
    return (seen.tracker, seen.read, seen.finished) != (tracker, tracker.next_offset, tracker.finished)
