"""This process as a member of the schedulers' group: what it owns, it works on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from broker.interface import BrokerError
from runtime.errors import one_line

if TYPE_CHECKING:
    from asyncio import Task

    from broker.interface import Subscription
    from runtime.process import Process
    from scheduler.estates import Estates
    from scheduler.lease import Lease

POLL_SECONDS: Final = 0.5
AGAIN_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 15.0
"""How long the group may be busy with other members before it counts as trouble."""


class Membership:
    """Life: made → `run`, once. The subscription stays its user's to close. Whatever fails of `tasks` ends the process, too."""

    def __init__(
        self, subscription: Subscription, estates: Estates, lease: Lease, process: Process, *tasks: Task[None]
    ) -> None:
        self._subscription = subscription
        self._estates = estates
        self._lease = lease
        self._process = process
        self._clock = process.clock
        self._tasks = tasks
        self._fault: str | None = None
        self._heard = process.clock.monotonic()

    def fault(self) -> str | None:
        """Return why this process is no member of its group for certain, in an operator's words; None while it is."""
        return self._fault

    async def run(self) -> None:
        """Stay in the group, which tells the estates what is owned, until the process is asked to stop. A broker that is away is
        waited for: meanwhile the lease runs out, and nothing is asked. Raises what no waiting cures.
        """
        while not self._process.stopping.is_set():
            try:
                await self._subscription.poll(POLL_SECONDS, partitions=())
            except BrokerError as error:
                self._trouble(one_line(error))
                await self._clock.sleep(AGAIN_SECONDS)
            else:
                self._trouble(self._silence())
            self._raise_what_failed()

    def _silence(self) -> str | None:
        now = self._clock.monotonic()
        if self._lease.lasts():
            self._heard = now
        silent = now - self._heard
        return f"nothing was heard of the group for {silent:.0f} s" if silent > SILENT_SECONDS else None

    def _trouble(self, fault: str | None) -> None:
        before, self._fault = self._fault, fault
        if fault is None and before is not None:
            self._process.log.info("broker answers again")
        elif fault is not None and before is None:
            self._process.log.warning("broker unavailable", reason=fault)

    def _raise_what_failed(self) -> None:
        error = self._estates.failed()
        if error is not None:
            raise error
        for task in self._tasks:
            if task.done():
                task.result()
