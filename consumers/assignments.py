"""The partitions that this forwarder owns: from assignment over commits to revocation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from broker.interface import Fenced, RebalanceListener, TopicPartition, Unavailable
from consumers.audit import tally_of
from consumers.offsets.memory import METADATA_BYTES, Remembered, remembered
from consumers.offsets.tally import Tally
from consumers.offsets.tracker import PENDING, Tracker
from runtime.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Assignment, Commit, Subscription
    from consumers.delivery.route import Route

LAST_COMMIT_SECONDS: Final = 3.0
"""How long it may take to write what is finished: what is not written is sent again by the next owner."""
COMMIT_BYTES: Final = 512 * 1024
"""What stands beside the offsets of one commit has so much room together: Kafka writes a commit as one batch, of 1 MiB at most."""
REVOKE_SECONDS: Final = 5.0
"""How long a revocation waits for requests that are out. The whole group waits with it, and with it every other storefront (G4)."""


class Assignments(RebalanceListener):
    """Gives each assigned partition a tracker on its storefront's route, commits what is finished, takes leave of it.

    `routes`: by topic. A commit carries the tally of G7; the tally goes on from the one that was committed last,
    so that an offset which somebody else committed stays visible as unaccounted for. It carries, too, what is finished above
    the offset, which whoever has the partition next does not send again, what is in doubt there, which it sends first, and what
    the storefront's limit of dead letters has counted, which goes on from there.
    """

    def __init__(self, routes: Mapping[str, Route], log: FilteringBoundLogger) -> None:
        self._routes = routes
        self._log = log
        self._trackers: dict[TopicPartition, Tracker] = {}
        self._out_of_range: dict[TopicPartition, str] = {}
        self._subscription: Subscription | None = None

    @property
    def trackers(self) -> Mapping[TopicPartition, Tracker]:
        """The partitions that are read, each with its tracker."""
        return self._trackers

    def fault(self) -> str | None:
        """Return why partitions that are owned are not read, in an operator's words; None when all are."""
        if not self._out_of_range:
            return None
        return "; ".join(f"{topic}/{number}: {why}" for (topic, number), why in sorted(self._out_of_range.items()))

    def use(self, subscription: Subscription) -> None:
        """Commit through `subscription` from now on."""
        self._subscription = subscription

    async def assigned(self, assignments: Sequence[Assignment]) -> None:
        """Start to track what is now owned.

        A partition whose committed offset is not in its log is left alone: that is an alarm, never a jump.
        """
        finished = 0
        for each in assignments:
            if each.out_of_range:
                self._refuse(each)
                continue
            partition = TopicPartition(*each.partition)
            before = self._remembered(each)
            finished += len(before.finished) - before.finished.count(PENDING)
            tracker = Tracker(each.position, self._tally(each), before)
            self._routes[partition.topic].brake.take_over(before.buried)
            self._trackers[partition] = tracker
            self._routes[partition.topic].assign({partition.partition: tracker})
        self._log.info(
            "partitions assigned", partitions=len(assignments), owned=len(self._trackers), finished_above=finished
        )

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Let what is out come back, commit what is finished, forget the rest: the next owner reads it again."""
        await self.withdraw(partitions, REVOKE_SECONDS)
        try:
            async with asyncio.timeout(LAST_COMMIT_SECONDS):
                await self.commit()
        except (Unavailable, TimeoutError) as error:
            self._log.warning("last commit before a revocation failed", error=one_line(error))
        self._forget(partitions)
        self._log.info("partitions revoked", partitions=len(partitions), owned=len(self._trackers))

    async def withdraw(self, partitions: Collection[TopicPartition], seconds: float) -> None:
        """Send nothing more of these partitions, and wait up to `seconds` for requests that are out."""
        numbers: dict[str, list[int]] = {}
        for topic, number in partitions:
            numbers.setdefault(topic, []).append(number)
        await asyncio.gather(*(self._routes[topic].withdraw(each, seconds) for topic, each in numbers.items()))

    async def commit(self) -> None:
        """Commit every partition up to its first unfinished record. Waits for the broker.

        A partition that turns out to belong to another member is forgotten. Raises Unavailable when the broker
        cannot be reached: then nothing is certain, and a later commit covers it.
        """
        due = {partition: tracker for partition, tracker in self._trackers.items() if tracker.is_due}
        if not due:
            return
        room = min(METADATA_BYTES, COMMIT_BYTES // len(due))
        buried = {topic: self._routes[topic].buried() for topic, _ in due}
        commits = {
            partition: commit
            for partition, tracker in due.items()
            if (commit := tracker.commit(room, buried[partition.topic])) is not None
        }
        try:
            await self._write(commits)
        except Fenced:
            # Some of them are another's now, and nothing says which: each is asked alone.
            for partition, commit in commits.items():
                await self._commit_alone(partition, commit)

    async def _commit_alone(self, partition: TopicPartition, commit: Commit) -> None:
        try:
            await self._write({partition: commit})
        except Fenced as error:
            self._log.warning("partition lost", topic=partition.topic, partition=partition.partition, error=str(error))
            await self.withdraw([partition], 0)
            self._forget([partition])

    async def _write(self, commits: Mapping[TopicPartition, Commit]) -> None:
        if self._subscription is None:
            raise RuntimeError("commit before use")
        await self._subscription.commit(commits)
        for partition in commits:
            self._trackers[partition].committed()

    def _forget(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            self._trackers.pop(partition, None)
            self._out_of_range.pop(partition, None)

    def _refuse(self, assignment: Assignment) -> None:
        committed = assignment.commit.offset if assignment.commit is not None else assignment.position
        start, end = assignment.log
        why = (
            f"the committed offset {committed} is not in the log ({start} to {end}); "
            "find out what became of the records between, then set the group's offset by hand"
        )
        self._out_of_range[assignment.partition] = why
        self._log.error(
            "offset out of range", topic=assignment.partition.topic, partition=assignment.partition.partition, error=why
        )

    def _remembered(self, assignment: Assignment) -> Remembered:
        commit = assignment.commit
        if commit is None:
            return Remembered()
        try:
            return remembered(commit, assignment.log)
        except ValueError as error:
            self._log.error(
                "what stands beside the committed offset cannot be read: what is finished above it is sent again",
                topic=assignment.partition.topic,
                partition=assignment.partition.partition,
                offset=commit.offset,
                error=str(error),
            )
            return Remembered()

    def _tally(self, assignment: Assignment) -> Tally:
        topic, number = assignment.partition
        if assignment.commit is None:
            if assignment.position > 0:
                self._log.warning(
                    "reading begins within the log: what stood before is in no tally",
                    topic=topic,
                    partition=number,
                    offset=assignment.position,
                )
            return Tally(assignment.position)
        tally = tally_of(assignment.commit, assignment.log)
        unaccounted = assignment.position - tally.base - tally.delivered - tally.dead_lettered
        if unaccounted:
            self._log.error(
                "the committed offset is not what its tally adds up to",
                topic=topic,
                partition=number,
                offset=assignment.position,
                unaccounted=unaccounted,
            )
        return tally
