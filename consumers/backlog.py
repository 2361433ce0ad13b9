"""How long what waits will take at the present rate."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runtime.clock import Clock

PRESENT_SECONDS: Final = 60.0
"""The present rate is that of the last minute."""


class Backlog:
    """One storefront's, from what its group has committed: the same for every member, and it survives them. Nothing here waits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # When so many records were settled.
        self._seen: deque[tuple[float, int]] = deque()

    def seconds(self, settled: int, waiting: int) -> float | None:
        """Take note that `settled` records are delivered or dead-lettered up to now; return how long those `waiting` will take.

        Infinity while nothing gets out; None when nothing is known of the rate yet.
        """
        now = self._clock.monotonic()
        if self._seen and settled < self._seen[-1][1]:
            # A group that was set back counts anew.
            self._seen.clear()
        self._seen.append((now, settled))
        while len(self._seen) > 1 and self._seen[1][0] <= now - PRESENT_SECONDS:
            self._seen.popleft()
        if not waiting:
            return 0.0
        since, before = self._seen[0]
        if now <= since:
            return None
        rate = (settled - before) / (now - since)
        return waiting / rate if rate else math.inf
