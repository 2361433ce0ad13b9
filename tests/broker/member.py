"""A group member that polls in a task of its own and remembers what it was told, in which order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Literal, NamedTuple

from broker.interface import Commit, RebalanceListener, TopicPartition
from tests.broker.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from broker.interface import Assignment, Broker, Record, Subscription


class Step(NamedTuple):
    """One change of ownership, as the members of a test saw them in time."""

    member: str
    kind: Literal["assigned", "revoked"]
    partition: TopicPartition


class Member(RebalanceListener):
    """Life: construct → `start` → … → `stop`. Members of one test share a `history`."""

    def __init__(self, name: str = "a", history: list[Step] | None = None) -> None:
        self.name = name
        self.history: list[Step] = [] if history is None else history
        self.owned: dict[TopicPartition, Assignment] = {}
        self.records: defaultdict[TopicPartition, list[Record]] = defaultdict(list)
        self.wanted: Collection[TopicPartition] | None = None
        self.on_revoked: Callable[[Collection[TopicPartition]], Awaitable[None]] | None = None
        self.polls = 0
        self._stopping = False
        self._subscription: Subscription | None = None
        self._polling: asyncio.Task[None] | None = None

    @property
    def subscription(self) -> Subscription:
        assert self._subscription is not None, "not started"
        return self._subscription

    async def start(self, broker: Broker, group: str, *topics: str, instance: str | None = None) -> Member:
        self._subscription = await broker.subscribe(group, topics, self, instance=instance)
        self._polling = asyncio.create_task(self._poll(), name=f"member {self.name}")
        return self

    async def stop(self) -> None:
        await self.stop_polling()
        await self.subscription.close()

    async def stop_polling(self) -> None:
        assert self._polling is not None
        self._stopping = True
        await self._polling

    async def assigned(self, assignments: Sequence[Assignment]) -> None:
        for assignment in assignments:
            assert assignment.partition not in self.owned, "assigned twice"
            self.owned[assignment.partition] = assignment
            self.history.append(Step(self.name, "assigned", assignment.partition))

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        if self.on_revoked is not None:
            await self.on_revoked(partitions)
        for partition in partitions:
            assert self.owned.pop(partition, None) is not None, "revoked without being owned"
            self.history.append(Step(self.name, "revoked", partition))

    async def commit_read(self, partitions: Collection[TopicPartition]) -> None:
        """Commit what was read of `partitions`; with `on_revoked` this is what a well-behaved owner does."""
        read = {partition: self.records[partition] for partition in partitions if self.records[partition]}
        await self.subscription.commit({partition: Commit(got[-1].offset + 1, "") for partition, got in read.items()})

    def values(self, partition: TopicPartition) -> list[bytes | None]:
        return [record.value for record in self.records[partition]]

    def total(self) -> int:
        return sum(map(len, self.records.values()))

    async def until_read(self, count: int) -> None:
        await eventually(lambda: self._alive() and self.total() >= count, f"{count} records read by {self.name}")

    async def until_owned(self, count: int) -> None:
        await eventually(lambda: self._alive() and len(self.owned) == count, f"{count} partitions of {self.name}")

    async def until_polled(self, times: int = 2) -> None:
        seen = self.polls
        await eventually(lambda: self._alive() and self.polls >= seen + times, f"{times} polls of {self.name}")

    def _alive(self) -> bool:
        """Bring out the error that ended the polling, instead of waiting for what cannot come."""
        assert self._polling is not None
        if self._polling.done():
            self._polling.result()
        return True

    async def _poll(self) -> None:
        while not self._stopping:
            got = await self.subscription.poll(0.1, self.wanted)
            assert got.keys() <= self.owned.keys(), "records of partitions that are not owned"
            for partition, records in got.items():
                self.records[partition].extend(records)
            self.polls += 1


def never_shared(history: Sequence[Step]) -> bool:
    """Say whether no partition was owned by two at a time."""
    owners: dict[TopicPartition, str] = {}
    for step in history:
        if step.kind == "assigned":
            if step.partition in owners:
                return False
            owners[step.partition] = step.member
        elif owners.pop(step.partition, None) != step.member:
            return False
    return True


def one_each(members: Sequence[Member], partitions: int) -> bool:
    """Say whether the members together own each of so many partitions once."""
    owned = [partition for member in members for partition in member.owned]
    return len(owned) == len(set(owned)) == partitions
