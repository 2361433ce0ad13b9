"""When to come again: from how fast what waits is getting less (G6)."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from runtime.clock import Clock

LONGEST_SECONDS = 30.0
WINDOW_SECONDS = 5.0
FIRST_SECONDS = 1.0
"""So long nothing is known of how fast it goes."""


class _Mark(NamedTuple):
    time: float
    gone: int


class Backlog:
    """Says how long what waits will take, from what has gone since senders are being refused.

    Only then is the pace that of the gateway: before, it was that of the senders. So nothing is measured, and no clock asked, while all
    goes well; whoever sees bytes acknowledged adds them to `gone`.
    """

    def __init__(self, clock: Clock) -> None:
        self._monotonic = clock.monotonic
        self.gone = 0
        self._asked = -math.inf
        self._older = self._newer = _Mark(0.0, 0)

    def wait(self, waiting: int) -> float:
        """Return the seconds until `waiting` bytes are gone, 1 to 30. When nothing goes at all: as long again as it has stood still."""
        now = self._monotonic()
        if now - self._asked > WINDOW_SECONDS:
            self._older = self._newer = _Mark(now, self.gone)
        self._asked = now
        if self.gone > self._older.gone and now - self._newer.time >= WINDOW_SECONDS / 2:
            self._older, self._newer = self._newer, _Mark(now, self.gone)
        elapsed = now - self._older.time
        if elapsed < FIRST_SECONDS:
            return 1.0
        gone = self.gone - self._older.gone
        return min(max(1.0, waiting * elapsed / gone if gone else elapsed), LONGEST_SECONDS)


def seconds(wait: float) -> int:
    """Return `wait` as a Retry-After: whole seconds, at least 1, up to half as much and a second more, so that the senders do not return
    as one.
    """
    spread = random.random()  # noqa: S311 - spreads senders, guards nothing
    return max(1, math.ceil(wait + spread * (1 + wait / 2)))
