"""The forwarder's loop: reads what there is room for, hands it to the storefronts' routes, commits what is finished."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from broker.interface import Unavailable
from consumers.room import Reach

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from broker.interface import Record, Subscription, TopicPartition
    from consumers.assignments import Assignments
    from consumers.delivery.route import Route
    from consumers.room import Room
    from runtime.process import Process

COMMIT_SECONDS: Final = 0.5
LONGEST_POLL_SECONDS: Final = 0.25
"""Also how long a stop may go unnoticed."""
_BUSY_POLL_SECONDS: Final = 0.005
_SHORTEST_POLL_SECONDS: Final = 0.001
_AGAIN_SECONDS: Final = 1.0
# Of the drain's time, what is kept for the last commit and for leaving the group.
_CLOSING_SHARE: Final = 0.25


class Forwarder:
    """Moves events from their topics to the ingestion APIs until the process is asked to stop.

    One task reads, commits and hears of rebalances, so that none of these ever meets another half done. `routes`: by
    topic. `failures` fills with faults of our own code, the first of which ends the process. Life: `run`, once.
    """

    def __init__(
        self,
        subscription: Subscription,
        assignments: Assignments,
        routes: Mapping[str, Route],
        room: Room,
        process: Process,
        failures: Sequence[BaseException],
    ) -> None:
        self._subscription = subscription
        self._assignments = assignments
        self._routes = routes
        self._room = room
        self._process = process
        self._clock = process.clock
        self._commit_at = 0.0
        self._fault: str | None = None
        self._failures = failures

    def fault(self) -> str | None:
        """Return why nothing can be read or committed at present, in an operator's words; None while that works."""
        return self._fault

    async def run(self) -> None:
        """Forward until the process stops; then let requests that are out come back, commit, leave the group.

        That takes no longer than the drain's time. A broker that is away is waited for. Raises what no waiting cures.
        """
        try:
            while not self._process.stopping.is_set():
                if self._failures:
                    raise self._failures[0]
                try:
                    await self._turn()
                except Unavailable as error:
                    self._trouble(str(error))
                    await self._clock.sleep(_AGAIN_SECONDS)
                else:
                    self._trouble(None)
            await self._assignments.withdraw(
                list(self._assignments.trackers), self._process.drain_seconds * (1 - _CLOSING_SHARE)
            )
        finally:
            await self._subscription.close()

    async def _turn(self) -> None:
        # A commit that fails must not keep from polling: who does not poll is no member for long.
        uncommitted = await self._commit()
        now = self._clock.monotonic()
        plan = self._room.plan(
            Reach(partition, tracker, (route := self._routes[partition.topic]).flowing, route.hungry)
            for partition, tracker in self._assignments.trackers.items()
        )
        timeout = self._timeout(now, withheld=plan.withheld)
        self._take(await self._subscription.poll(timeout, plan.partitions, plan.max_records))
        # A poll that finds records at once gives nobody else a turn.
        await asyncio.sleep(0)
        if uncommitted is not None:
            raise uncommitted

    async def _commit(self) -> Unavailable | None:
        now = self._clock.monotonic()
        if now < self._commit_at:
            return None
        self._commit_at = now + COMMIT_SECONDS
        try:
            await self._assignments.commit()
        except Unavailable as error:
            return error
        return None

    def _timeout(self, now: float, *, withheld: bool) -> float:
        """Return how long a poll may wait: until a batch is due, but not long while others that flow will soon have room again."""
        longest = _BUSY_POLL_SECONDS if withheld else LONGEST_POLL_SECONDS
        moments = [moment for route in self._routes.values() if (moment := route.pump_at()) is not None]
        return max(_SHORTEST_POLL_SECONDS, min(longest, min(moments, default=now + longest) - now))

    def _take(self, found: Mapping[TopicPartition, Sequence[Record]]) -> None:
        for partition, records in found.items():
            tracker = self._assignments.trackers.get(partition)
            # Lost since it was asked for: its next owner reads these again.
            if tracker is None or not records:
                continue
            before = tracker.held
            taken = self._routes[partition.topic].add(partition.partition, records)
            if taken:
                self._room.learn(taken, tracker.held - before)
        for route in self._routes.values():
            route.pump()

    def _trouble(self, fault: str | None) -> None:
        if fault == self._fault:
            return
        self._fault = fault
        if fault is None:
            self._process.log.info("broker answers again")
        else:
            self._process.log.warning("broker unavailable", error=fault)
