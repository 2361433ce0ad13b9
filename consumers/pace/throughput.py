"""How many requests a second an API has really taken of late."""

from __future__ import annotations

from collections import deque
from typing import Final

_MINUTE: Final = 60.0
_MARK_SECONDS: Final = 5.0


class Throughput:
    """Counts what was taken, and remembers a minute of it. Moments are of the monotonic clock. Nothing here waits."""

    __slots__ = ("_began", "_marks", "_taken")

    def __init__(self, now: float) -> None:
        self._taken = 0
        # When how much had been taken: at the beginning, and every 5 s of the last minute.
        self._began = (now, 0)
        self._marks: deque[tuple[float, int]] = deque([self._began])

    @property
    def began_at(self) -> float:
        """When it began anew."""
        return self._began[0]

    @property
    def count(self) -> int:
        """How many were taken since it began anew."""
        return self._taken - self._began[1]

    def taken(self, now: float) -> None:
        """Take note that a request was taken."""
        if now - self._marks[-1][0] >= _MARK_SECONDS:
            self._marks.append((now, self._taken))
            while self._marks[0][0] < now - _MINUTE:
                self._marks.popleft()
        self._taken += 1

    def begin_anew(self, now: float) -> None:
        """Count from here; the last minute is remembered."""
        self._began = (now, self._taken)

    def rate(self, now: float) -> float:
        """Return how many a second were taken since it began anew, or in the last minute if that is more.

        The one is too little when hardly anything was sent for a time, the other when the API's window is longer than a minute.
        """
        minute = next((mark for mark in self._marks if mark[0] >= now - _MINUTE - _MARK_SECONDS), self._began)
        return max((self._taken - count) / max(now - at, 1.0) for at, count in (self._began, minute))
