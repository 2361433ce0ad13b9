"""Whether this process may still take itself for the owner of what it was assigned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.clock import Clock

MARGIN_SECONDS: Final = 0.5
"""So long before the group may give our partitions to others nothing is asked any more: what is sent then arrives later."""
LOOK_SECONDS: Final = 0.1


class NotOwner(Exception):
    """This process cannot be sure any more that the account is its own: it asks nothing.

    No PullError: nothing is the matter with an export, and nothing may be put down in a ledger that may be another's.
    """


class Lease:
    """Runs out unless the group is heard of again and again: no vendor fences an owner that was replaced while it slept, or while it
    alone could not reach the broker. Life: made → `use` → the rest.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held_until: Callable[[], float] = lambda: float("-inf")

    def use(self, held_until: Callable[[], float]) -> None:
        """Go by `Subscription.held_until` of this process's membership; until then nothing is owned."""
        self._held_until = held_until

    def lasts(self) -> bool:
        """Say whether what was assigned is surely nobody else's now."""
        return self._left() > 0

    def check(self) -> None:
        """Raise NotOwner unless it lasts."""
        if not self.lasts():
            raise NotOwner("this process did not hear of its group for too long; it looks at ownership again first")

    async def taken_up(self) -> None:
        """Wait until it lasts."""
        while not self.lasts():
            await self._clock.sleep(LOOK_SECONDS)

    async def run_out(self) -> NoReturn:
        """Wait until it does not last any more; then raise NotOwner."""
        while True:
            self.check()
            await self._clock.sleep(min(self._left(), LOOK_SECONDS))

    def _left(self) -> float:
        return self._held_until() - MARGIN_SECONDS - self._clock.monotonic()
