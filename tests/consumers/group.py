"""A consumer group that is no more than a place for commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.interface import Commit, Fenced, Subscription, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from broker.interface import Record


class Group(Subscription):
    """Takes commits, but for partitions that are `others` now. As Kafka does, it takes one that was lost and regained."""

    def __init__(self) -> None:
        self.others: set[TopicPartition] = set()
        self.committed: dict[TopicPartition, Commit] = {}
        self.written = 0

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self.committed.keys() - self.others)

    async def poll(
        self,
        timeout: float,  # noqa: ARG002, ASYNC109 - the interface's
        partitions: Collection[TopicPartition] | None = None,  # noqa: ARG002 - the interface's
        max_records: int = 10_000,  # noqa: ARG002 - the interface's
    ) -> Mapping[TopicPartition, list[Record]]:
        return {}

    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        if self.others & commits.keys():
            raise Fenced("another's now")
        self.written += len(commits)
        self.committed |= commits

    def held_until(self) -> float:
        return float("inf")

    async def close(self) -> None:
        return
