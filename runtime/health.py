"""What a process knows about its own readiness."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Callable


class Health:
    """The checks that readiness is made of. Nobody is ready who has not started or who drains.

    Life: made → `add` … → `started` → `draining`; after `starts_again` from the beginning.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], str | None]] = {}
        self._phase: str | None = "starting"

    def add(self, name: str, check: Callable[[], str | None]) -> None:
        """Ask `check` at every question from now on: None is fine, else the reason in an operator's words.

        It is called on the event loop and must not wait. A check that raises counts as a reason. The same name again
        replaces.
        """
        self._checks[name] = check

    def started(self) -> None:
        """Say that the process serves."""
        self._phase = None

    def starts_again(self) -> None:
        """Say that what ran before is over: its checks are no longer asked."""
        self._checks.clear()
        self._phase = "starting"

    def draining(self) -> None:
        """Say that the process is on its way out: it finishes what it has and should get nothing new."""
        self._phase = "draining: no new work is taken"

    def reasons(self) -> dict[str, str]:
        """Return why the process is not ready, by the name of the check; empty when it is ready."""
        reasons = {} if self._phase is None else {"process": self._phase}
        for name, check in self._checks.items():
            reason = _ask(check)
            if reason is not None:
                reasons[name] = reason
        return reasons


def _ask(check: Callable[[], str | None]) -> str | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001  # a broken check must turn readiness red, not the probe into a 500
        return f"the check failed: {one_line(error)}"
