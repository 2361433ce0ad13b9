"""A clock whose date a test moves, while what is measured goes on as ever."""

from __future__ import annotations

from runtime.clock import SystemClock


class CalendarClock(SystemClock):
    """The real one, some days ahead."""

    def __init__(self) -> None:
        self.days = 0.0

    def now(self) -> float:
        return super().now() + self.days * 86_400
