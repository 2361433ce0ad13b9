"""What is left of an API's window of requests, as its answers tell it (`RateLimit-*`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from consumers.api.outcomes import LONGEST_WAIT

if TYPE_CHECKING:
    from consumers.api.allowance import Allowance

MINUTE: Final = 60.0
_BURSTS: Final = 20
_SAME_WINDOW_SECONDS: Final = 2.0
"""The API rounds its seconds: of one window, two answers never differ more in when it ends."""


class Window:
    """Each window gets what the answers said remains of it, less what is still out; a twentieth of it may go at once.

    Who sends from the same address besides us shows in what remains. Without a word of the API's nothing is limited. Moments
    are of the monotonic clock. Nothing here waits.
    """

    __slots__ = ("_guessed", "_limit", "_seconds", "burst", "ends_at", "remaining")

    def __init__(self) -> None:
        self._limit = math.inf
        self._seconds = MINUTE
        # Whether what remains is only what the last window had.
        self._guessed = True
        self.burst = math.inf
        """How many may go at once."""
        self.remaining = math.inf
        """How many may go until it ends."""
        self.ends_at = math.inf

    def turn(self, now: float) -> None:
        """Begin the next one if this is over: what it gives is a guess until its first answer."""
        if now >= self.ends_at:
            self.remaining = self._limit
            self._guessed = True
            self.ends_at = now + self._seconds

    def learn(self, told: Allowance, now: float, out: int) -> None:
        """Take over what an answer told while `out` requests were out that it may not have counted."""
        self._bound(told.limit)
        if told.reset is None or told.remaining is None:
            return
        reset = min(LONGEST_WAIT, told.reset)
        self._seconds = max(self._seconds, reset)
        ends_at, left = now + reset, float(told.remaining - out)
        later = ends_at - self.ends_at
        if self._guessed or later > _SAME_WINDOW_SECONDS:
            self._guessed = False
            self.ends_at = ends_at
            self.remaining = left
        elif later >= -_SAME_WINDOW_SECONDS:
            # Answers overtake each other: of those about one window, the least counts.
            self.ends_at = min(self.ends_at, ends_at)
            self.remaining = min(self.remaining, left)

    def exhausted(self, told: Allowance, until: float) -> None:
        """Take note that nothing remains until then."""
        self._bound(told.limit)
        self.remaining = 0.0
        self.ends_at = until
        self._guessed = False

    def rate(self, now: float) -> float:
        """Return how many requests a second spread what remains over what is left of the window; above 0."""
        if self.remaining == math.inf:
            return math.inf
        return max(self.remaining, 1.0) / max(self.ends_at - now, 1e-3)

    def _bound(self, limit: int | None) -> None:
        if limit is not None:
            # One that says 0 would never be asked again.
            self._limit = float(max(1, limit))
        self.burst = max(1.0, self._limit // _BURSTS) if self._limit != math.inf else 1.0
