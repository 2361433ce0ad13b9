"""How often an account may ask: so many requests a minute, a month, and at once."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from scheduler.errors import Parked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.clock import Clock

MINUTE: Final = 60.0
MAX_BURST: Final = 5
"""How many tokens are kept for later, at most; at a low pace a tenth of a minute's."""


@dataclass(frozen=True, slots=True)
class MonthSpent:
    """How many requests were made in `month`, a calendar month in UTC like "2026-11"."""

    month: str
    requests: int


class Budget:
    """One account's requests, first come, first served. `requests_per_month` None: as many as the minutes allow.

    It starts without a token: a new owner of the account adds no burst to the last one's requests. `spent` is what that one
    used of the month; it is forgotten when the month is over.
    """

    def __init__(
        self,
        requests_per_minute: int,
        requests_per_month: int | None,
        concurrency: int,
        clock: Clock,
        spent: MonthSpent | None = None,
    ) -> None:
        self._interval = MINUTE / requests_per_minute
        self._burst = max(1, min(MAX_BURST, requests_per_minute // 10))
        self._per_month = requests_per_month
        self._places = asyncio.Semaphore(concurrency)
        self._queue = asyncio.Lock()
        self._clock = clock
        self._spent = spent
        # When the bucket held nothing; a token came with every interval since.
        self._empty_at = clock.monotonic()
        self._last_minute: deque[float] = deque(maxlen=requests_per_minute)

    @property
    def spent(self) -> MonthSpent:
        """What was used of the present month."""
        month = f"{self._today():%Y-%m}"
        if self._spent is None or self._spent.month != month:
            self._spent = MonthSpent(month, 0)
        return self._spent

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place and for a token; the place is held while the `async with` lasts, for one request.

        Raises Parked when the month's requests are used up. Whoever is cancelled while waiting takes nothing.
        """
        async with self._places:
            await self.token()
            yield

    async def token(self) -> None:
        """Wait for a token alone: for one more request, like a login, within a turn that is held. Raises as `turn`."""
        async with self._queue:
            while True:
                spent = self.spent
                if self._per_month is not None and spent.requests >= self._per_month:
                    raise Parked(self._used_up(self._per_month), "quota")
                now = self._clock.monotonic()
                ready = self._ready_at()
                if now >= ready:
                    break
                await self._clock.sleep(ready - now)
            self._empty_at = max(self._empty_at, now - self._burst * self._interval) + self._interval
            self._last_minute.append(now)
            self._spent = MonthSpent(spent.month, spent.requests + 1)

    def rest(self, until: float) -> None:
        """Give nothing out before `until`, in seconds since the epoch, and no burst then. It never ends a longer rest."""
        due = self._clock.monotonic() + until - self._clock.now()
        self._empty_at = max(self._empty_at, due - self._interval)

    def _ready_at(self) -> float:
        ready = self._empty_at + self._interval
        # The bucket alone would let its burst through on top of a minute's pace.
        is_full = len(self._last_minute) == self._last_minute.maxlen
        return max(ready, self._last_minute[0] + MINUTE) if is_full else ready

    def _today(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def _used_up(self, per_month: int) -> str:
        today = self._today()
        following = datetime(today.year + today.month // 12, today.month % 12 + 1, 1, tzinfo=UTC)
        return f"the account's {per_month} requests of {today:%Y-%m} are used up; there are new ones at {following:%Y-%m-%dT%H:%MZ}"
