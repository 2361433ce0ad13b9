"""Whether this process may still take itself for the owner of what it was assigned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runtime.clock import Clock

LEASE_SECONDS: Final = 5.0
"""Less than it takes a group to give a silent member's partitions to others."""


class NotOwner(Exception):
    """This process cannot be sure any more that the account is its own: it asks nothing.

    No PullError: nothing is the matter with an export, and nothing may be put down in a ledger that may be another's.
    """


class Lease:
    """Renewed whenever the group is heard of: whoever slept through it (a frozen process) must not ask a vendor."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._renewed = clock.monotonic()

    def renew(self) -> None:
        """Take note that the group counts this process as its member now."""
        self._renewed = self._clock.monotonic()

    def check(self) -> None:
        """Raise NotOwner when that is too long ago."""
        if self._clock.monotonic() - self._renewed > LEASE_SECONDS:
            raise NotOwner("this process did not hear of its group for too long; it looks at ownership again first")
