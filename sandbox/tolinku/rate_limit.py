"""The limit of requests a minute from one address, and the headers that tell it (VENDORS.md)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from runtime.clock import Clock

WINDOW_SECONDS = 60
ADDRESSES = 10_000


class Allowance(NamedTuple):
    """What an address has left in its running minute; `reset` in whole seconds, rounded up."""

    limit: int
    remaining: int
    reset: int
    allowed: bool

    def headers(self) -> dict[str, str]:
        """Return the three `RateLimit-*` headers."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class RateLimit:
    """Counts requests by address in windows of a minute that begin with an address's first request."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}

    def take(self, address: str, limit: int) -> Allowance:
        """Count one request of `address` against `limit` requests a minute, and say what is left."""
        now = self._clock.monotonic()
        start, taken = self._windows.get(address, (now, 0))
        if now - start >= WINDOW_SECONDS:
            start, taken = now, 0
        self._windows.pop(address, None)
        self._windows[address] = (start, taken + 1)
        if len(self._windows) > ADDRESSES:
            del self._windows[next(iter(self._windows))]  # whoever has been quiet longest
        reset = math.ceil(start + WINDOW_SECONDS - now)
        return Allowance(limit, max(0, limit - taken - 1), reset, allowed=taken < limit)
