"""Between aiokafka's rebalances and our listener: what happens in aiokafka's task is told from the one that polls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka import ConsumerRebalanceListener
from aiokafka import TopicPartition as ClientPartition

from broker.interface import Assignment, TopicPartition, Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from broker.kafka.admin import Admin

REBALANCE_SECONDS = 20.0
"""How long the group, and nobody owns anything meanwhile, waits for a member that is revoking, or for one with a name of its own that
is gone. A forwarder's drain takes 13 s at most.
"""
OVERDUE_SECONDS = REBALANCE_SECONDS + 5.0
"""A member that is given nothing for so long, not even that it owns nothing, is not well."""

_RETRY_SECONDS = 0.5
_REVOKE_SECONDS = REBALANCE_SECONDS - 5.0


class Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """One consumer's place in its group.

    `settled` while the consumer owns something, or nothing, for certain and stands at the right positions: only then may
    records be fetched. `leaving`: `revoked` is still to be told of what is owned, and the group waits for it. `fresh`: what
    is newly owned and still to be told. `moved_on`: the group waited in vain, so what the listener thinks to own may be
    others'. `woken` is done when any of that changed.
    """

    def __init__(self, group: str, admin: Admin) -> None:
        self._group = group
        self._admin = admin
        self._consumer: Any = None
        self._left: asyncio.Future[None] | None = None
        self._placing: asyncio.Task[None] | None = None
        self._owns = False
        self._closed = False
        self.settled = False
        self.moved_on = False
        self.fresh: Sequence[Assignment] | None = None
        self.woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.fault: Unavailable | None = None

    @property
    def leaving(self) -> bool:
        """Whether the listener must hear of a revocation."""
        return self._left is not None

    def attach(self, consumer: Any) -> None:
        """Serve this consumer, which is started but subscribes only now."""
        self._consumer = consumer

    def took_over(self) -> None:
        """Note that the listener is about to hear of `fresh`."""
        self.fresh = None
        self._owns = True

    def left(self) -> None:
        """Note that the listener has heard of the revocation: the group need wait no longer."""
        self._owns = self.moved_on = False
        if self._left is not None and not self._left.done():
            self._left.set_result(None)
        self._left = None

    def arm(self) -> None:
        """Have `woken` tell of what happens from now on."""
        if self.woken.done():
            self.woken = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        """Bring whoever waits for `woken` to look again."""
        if not self.woken.done():
            self.woken.set_result(None)

    def close(self) -> None:
        """Hold up aiokafka's task no longer."""
        self._closed = True
        self._stop_placing()
        self.settled = False
        self.fresh = None
        self.left()
        self.wake()

    async def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        """Wait until the listener, told by whoever polls, is done with what it owned. aiokafka's heartbeats go on meanwhile."""
        del revoked  # everything: rebalances are eager
        self._stop_placing()
        self.settled = False
        self.fresh = None
        if self._owns and not self._closed:
            self._left = asyncio.get_running_loop().create_future()
            self.wake()
            done, _ = await asyncio.wait([self._left], timeout=_REVOKE_SECONDS)
            self.moved_on = not done

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Have the positions looked up: the commits, else the logs' beginnings. Nothing is fetched from where there is no telling.

        Does not wait: heartbeats begin when this has returned, and a leader that is away would cost the session.
        """
        partitions = sorted(TopicPartition(*each) for each in assigned)
        if not self._closed:
            self._consumer.pause(*(ClientPartition(*each) for each in partitions))
            self._placing = asyncio.create_task(self._place(partitions))
            self._placing.add_done_callback(lambda _: self.wake())

    def raise_failure(self) -> None:
        """Raise what kept the positions from being looked up that no waiting cures: a fault of ours."""
        if self._placing is not None and self._placing.done() and not self._placing.cancelled():
            self._placing.result()

    async def _place(self, partitions: Sequence[TopicPartition]) -> None:
        while True:
            try:
                assignments = await positions(self._admin, self._group, partitions)
            except Unavailable as error:
                self.fault = error
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self.fault = None
            for each in assignments:
                place(self._consumer, each)
            self.fresh = assignments
            self.settled = True
            return

    def _stop_placing(self) -> None:
        if self._placing is not None:
            self._placing.cancel()
        self._placing = self.fault = None


async def positions(admin: Admin, group: str, partitions: Sequence[TopicPartition]) -> list[Assignment]:
    """Return where `group` is to read on in each partition. Raises Unavailable."""
    commits = await admin.committed(group, partitions)
    ranges = await admin.log_ranges(partitions)
    assignments = []
    for partition in partitions:
        commit, log = commits[partition], ranges[partition]
        position = log.start if commit is None else commit.offset
        outside = not log.start <= position <= log.end
        assignments.append(Assignment(partition, position, commit, log, out_of_range=outside))
    return assignments


def place(consumer: Any, assignment: Assignment) -> None:
    """Put the consumer, which is paused there, where the assignment says; where that is out of range it stays so. Does not wait."""
    partition = ClientPartition(*assignment.partition)
    consumer.seek(partition, assignment.position)
    if not assignment.out_of_range:
        consumer.resume(partition)
