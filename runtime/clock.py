"""Time as a parameter: production passes `SystemClock`, a test passes `ManualClock` and moves it."""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import Protocol


class Clock(Protocol):
    """What the rooms ask the time of."""

    def now(self) -> float:
        """Seconds since the epoch, UTC: for what is written down."""

    def monotonic(self) -> float:
        """Seconds that never go backwards: for what is measured."""

    async def sleep(self, seconds: float) -> None:
        """Wait. At or below zero: give others a turn."""


class SystemClock:
    """The real one: seconds since the epoch, and from an arbitrary start, as the system says them."""

    # The very functions: hot paths ask several times for each event.
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        """Wait really."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands still until `advance`; `slept` lists every wait that was asked for, in order."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._sequence = 0
        self.slept: list[float] = []

    def now(self) -> float:
        """Where the clock stands; seconds since the epoch."""
        return self._now

    def monotonic(self) -> float:
        """Return the same number: this clock has one hand."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has moved the clock that far."""
        self.slept.append(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        self._sequence += 1
        heapq.heappush(self._waiting, (self._now + seconds, self._sequence, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move the clock; whoever waited that long wakes, in the order of their times."""
        end = self._now + seconds
        while self._waiting and self._waiting[0][0] <= end:
            due, _, future = heapq.heappop(self._waiting)
            self._now = max(self._now, due)
            if not future.done():
                future.set_result(None)
            for _ in range(10):
                await asyncio.sleep(0)
        self._now = end
