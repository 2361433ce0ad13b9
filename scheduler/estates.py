"""Which partitions of the ledger this process owns, as the group says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.interface import RebalanceListener
from scheduler.estate import Estate
from schemas.topics import LEDGER, partition_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from broker.interface import Assignment, TopicPartition
    from scheduler.estate import Surroundings
    from scheduler.plan import Plan
    from schemas.commands import ExportCommand


class Estates(RebalanceListener):
    """An estate for each partition that is assigned; revoked, it ends before the partition goes to another."""

    def __init__(self, plans: Sequence[Plan], surroundings: Surroundings) -> None:
        self._plans = plans
        self._around = surroundings
        self._estates: dict[int, tuple[Estate, asyncio.Task[None]]] = {}
        self._fault: BaseException | None = None

    def fault(self) -> str | None:
        """Return why some exports are not pulled, in an operator's words; None when all that are owned are."""
        reasons = {reason for estate, _ in self._estates.values() if (reason := estate.fault()) is not None}
        return "; ".join(sorted(reasons)) or None

    async def assigned(self, assignments: Sequence[Assignment]) -> None:
        """Begin to work on what is now owned."""
        for assignment in assignments:
            number = assignment.partition.partition
            count = self._around.partitions[LEDGER]
            plans = [plan for plan in self._plans if partition_of(plan.account.name.encode(), count) == number]
            estate = Estate(number, plans, self._around)
            self._estates[number] = (estate, asyncio.create_task(estate.run()))

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Stop requests, abort what is open, drop all state."""
        leaving = [self._estates.pop(number) for _, number in partitions if number in self._estates]
        for estate, task in leaving:
            estate.give_up()
            task.cancel()
        ended = await asyncio.gather(*(task for _, task in leaving), return_exceptions=True)
        faults = [error for error in ended if error is not None and not isinstance(error, asyncio.CancelledError)]
        self._fault = self._fault or next(iter(faults), None)

    async def heard(self, name: str, command: ExportCommand) -> None:
        """Do what the command line wants of an export, if it is owned here."""
        for estate, _ in list(self._estates.values()):
            await estate.heard(name, command)

    def failed(self) -> BaseException | None:
        """Return what ended an estate that should go on: a fault of ours; None while all work."""
        if self._fault is not None:
            return self._fault
        for _, task in self._estates.values():
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                return error
        return None
