"""Which roles `sluice up` runs: as the configuration has it, also when that is read anew."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runtime.errors import OperatorError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cli.child import Child
    from cli.supervisor import Supervisor
    from runtime.settings import Settings

ROLES = ("gateway", "forwarder", "scheduler", "sandbox")
"""In the order in which they drain: each before the one that takes its events, and the one that all ask last."""


def roles(settings: Settings) -> Sequence[str]:
    """Return which of `ROLES` there is work for: without exports there is no scheduler."""
    return [role for role in ROLES if role != "scheduler" or settings.exports]


class Crew:
    """Life: made → `run`, until cancelled; `hang_up` at any time. `make` makes a role that is wanted from now on, `load` reads the
    configuration (blocking), `tell` is given what a user should see.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        make: Callable[[str], Child],
        load: Callable[[], Settings],
        tell: Callable[[str], None],
    ) -> None:
        self._supervisor = supervisor
        self._make = make
        self._load = load
        self._tell = tell
        self._asked = asyncio.Event()

    def hang_up(self) -> None:
        """Have the configuration read anew, by every role. Does not wait; asked for while that is done, it is done once more."""
        self._asked.set()

    async def run(self) -> None:
        """Do what is asked for."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._take_over()

    async def _take_over(self) -> None:
        supervisor = self._supervisor
        try:
            wanted = roles(await asyncio.to_thread(self._load))
        except OperatorError as error:
            # The roles that run refuse it too; nobody else speaks for one that does not.
            self._tell(f"the roles stay as they are: {one_line(error)}")
            wanted = [child.role for child in supervisor.children]
        leaving = [child for child in supervisor.children if child.role not in wanted]
        supervisor.hang_up(without=leaving)
        for child in leaving:
            self._tell(f"{child.role} drains: there is nothing left for it to do")
            await supervisor.dismiss(child)
        running = [child.role for child in supervisor.children]
        for place, role in enumerate(wanted):
            if role not in running:
                self._tell(f"{role} starts: there is something for it to do now")
                supervisor.take_on(self._make(role), place, self._given_up)

    def _given_up(self, error: BaseException) -> None:
        self._tell(f"{one_line(error)}; the others go on, and SIGHUP tries again")
