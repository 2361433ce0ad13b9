"""How long what waits will take at the present rate."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from runtime.clock import Clock

PRESENT_SECONDS: Final = 60.0
"""The present rate is that of the last minute."""


class _Look(NamedTuple):
    """How much was settled at a moment, and whether anything waited then."""

    at: float
    settled: int
    waited: bool


class Backlog:
    """One storefront's, from what its group has committed: the same for every member, and it survives them. Nothing here waits.

    The rate is that of the time in which something waited: what was not there to be delivered tells nothing of how fast it would be.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: deque[_Look] = deque()

    def seconds(self, settled: int, waiting: int) -> float | None:
        """Take note that `settled` records are delivered or dead-lettered up to now; return how long those `waiting` will take.

        Infinity while nothing gets out, parked or paused by hand; None when nothing is known of the rate yet, as when the first records
        for a time have only just come.
        """
        now = self._clock.monotonic()
        if self._seen and settled < self._seen[-1].settled:
            # A group that was set back counts anew.
            self._seen.clear()
        if not waiting:
            self._seen.clear()
        self._seen.append(_Look(now, settled, waiting > 0))
        while len(self._seen) > 1 and self._seen[1].at <= now - PRESENT_SECONDS:
            self._seen.popleft()
        if not waiting:
            return 0.0
        first = self._seen[0]
        if settled > first.settled and now > first.at:
            return waiting * (now - first.at) / (settled - first.settled)
        return math.inf if len(self._seen) > 1 and self._seen[-2].waited else None
