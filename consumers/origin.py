"""The pace of requests to one ingestion origin, which the storefronts behind it share (VENDORS: its limit is per address)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from yarl import URL

from consumers.outcomes import LONGEST_WAIT, Action, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.allowance import Allowance
    from consumers.outcomes import Outcome
    from runtime.clock import Clock
    from runtime.settings import IngestionSettings

_MINUTE: Final = 60.0
_TRANSIT_SECONDS: Final = 1.0
"""Requests that went out so far apart may arrive together: a minute of ours must not fill more than a minute of the API's."""
_BURST_OF_SET: Final = 60
_BURST_OF_LEARNT: Final = 20
_BRIEF_SECONDS: Final = 1.0
_ROUNDING: Final = 1e-9
_INTEREST_SECONDS: Final = 1.0
_JUDGED: Final = (Action.SETTLE, Action.HALVE)
_SAME_WINDOW_SECONDS: Final = 2.0
"""The API rounds its seconds: of one window, two answers never differ more in when it ends."""


class Origin:
    """Spreads requests evenly over the minute when there is a limit: `requests_per_minute`, or what the answers tell, or both.

    Of the limit that is set, any 60 seconds get at most as many; of the one that is learnt, each window gets what the
    answers said remains of it, less what is still out. A burst of up to a twentieth of a window goes at once. A 429
    that says nothing remains closes the origin until its window is over; then a single request goes first.

    Members (the gates of its storefronts) that were refused stand in line for as long as they ask, and go to its end when
    they have sent: so those with a backlog have equal shares, and what one has no use for is the others'. A process knows
    only its own requests; those of others from the same address show in what remains. Nothing here waits.
    """

    def __init__(self, requests_per_minute: int | None, clock: Clock) -> None:
        self._clock = clock
        self._set_rate = math.inf
        self._burst: float = math.inf
        if requests_per_minute is not None:
            self._burst = max(1, requests_per_minute // _BURST_OF_SET)
            self._set_rate = (requests_per_minute - self._burst + 1) / (_MINUTE + _TRANSIT_SECONDS)
        self._set_burst = self._burst
        self._limit = math.inf
        self._remaining = math.inf
        self._window = _MINUTE
        self._ends_at = math.inf
        self._tokens = self._burst
        self._filled_at = clock.monotonic()
        # Each with the moment at which it last asked.
        self._line: dict[object, float] = {}
        self._out = 0
        self._closed = False
        self._probing = False
        self._guessed = True

    @property
    def closed(self) -> bool:
        """Whether the API said that nothing remains, and has not answered otherwise since."""
        return self._closed or self._probing

    def opens_at(self, member: object) -> float:
        """Return when `member` may send, on the monotonic clock: the past if now. Those before it in line must have sent by then."""
        if self._burst == math.inf:
            return -math.inf
        now = self._clock.monotonic()
        self._fill(now)
        before = self._before(member, now)
        if self._remaining < before + 1:
            return self._ends_at
        missing = before + 1 - self._tokens
        if missing <= _ROUNDING and not before:
            return -math.inf
        return now + max(0.0, missing) / self._rate(now)

    def admits(self, member: object) -> bool:
        """Say whether `member` may send now; if not, it stands in line."""
        if self.opens_at(member) == -math.inf:
            return True
        self._line[member] = self._clock.monotonic()
        return False

    def forget(self, member: object) -> None:
        """Take note that `member` has nothing to send, or may not for reasons of its own."""
        if self._line:
            self._line.pop(member, None)

    def sent(self, member: object) -> None:
        """Take note of a request, after `admits`."""
        self._out += 1
        if self._burst == math.inf:
            return
        self._fill(self._clock.monotonic())
        self._tokens -= 1
        self._remaining -= 1
        self._line.pop(member, None)

    def answered(self, outcome: Outcome | None, allowance: Allowance | None) -> None:
        """Take note of what became of a request (None: it was given up), and what its answer told."""
        self._out -= 1
        if outcome is not None and allowance is not None and allowance.remaining is not None:
            self._learn(outcome, allowance, allowance.remaining)
        elif self._probing and outcome is not None and outcome.action in _JUDGED:
            self._probing = False
            self._remaining = self._limit
        elif self._probing and self._out == 0:
            # The one that went first came back without a word of it: one more may ask.
            self._remaining = 1.0

    def _learn(self, outcome: Outcome, told: Allowance, remaining: int) -> None:
        now = self._clock.monotonic()
        self._fill(now)
        self._bound(told.limit)
        if outcome.kind is Kind.RATE and remaining == 0:
            self._close(now + min(LONGEST_WAIT, max(told.reset or 0.0, outcome.retry_after) or _BRIEF_SECONDS))
        elif told.reset is not None and not self._closed:
            reset = min(LONGEST_WAIT, told.reset)
            self._window = max(self._window, reset)
            self._take_over(now + reset, remaining - self._out)

    def _close(self, until: float) -> None:
        self._ends_at = max(self._ends_at, until) if self._closed else until
        self._remaining = 0.0
        self._closed = True
        self._probing = False
        self._guessed = False

    def _take_over(self, ends_at: float, left: int) -> None:
        later = ends_at - self._ends_at
        if self._guessed or self._probing or later > _SAME_WINDOW_SECONDS:
            self._guessed = self._probing = False
            self._ends_at = ends_at
            self._remaining = float(left)
        elif later >= -_SAME_WINDOW_SECONDS:
            # Answers overtake each other: of those about one window, the least counts.
            self._ends_at = min(self._ends_at, ends_at)
            self._remaining = min(self._remaining, left)

    def _before(self, member: object, now: float) -> int:
        """Return how many go before `member`. Who has not asked for a while has lost interest."""
        if not self._line:
            return 0
        since = now - _INTEREST_SECONDS
        count = 0
        for each, asked_at in self._line.items():
            if each is member:
                break
            count += asked_at >= since
        return count

    def _bound(self, limit: int | None) -> None:
        if limit is not None:
            # One that says 0 would never be asked again.
            self._limit = float(max(1, limit))
        burst = max(1, self._limit // _BURST_OF_LEARNT) if self._limit != math.inf else 1.0
        before, self._burst = self._burst, min(self._set_burst, burst)
        if before == math.inf:
            self._tokens = self._burst

    def _fill(self, now: float) -> None:
        if now >= self._ends_at:
            # What the new window gives is a guess until its first answer; after a refusal, a single request asks.
            self._probing = self._probing or self._closed
            self._closed = False
            self._remaining = 1.0 if self._probing else self._limit
            self._guessed = True
            self._ends_at = now + self._window
        rate = self._rate(now)
        gained = math.inf if rate == math.inf else (now - self._filled_at) * rate
        self._tokens = min(self._burst, self._tokens + gained)
        self._filled_at = now

    def _rate(self, now: float) -> float:
        """Return how many requests a second may go out at present; above 0."""
        if self._remaining == math.inf:
            return self._set_rate
        left = max(self._ends_at - now, 1e-3)
        return min(self._set_rate, max(self._remaining, 1.0) / left)


class Place(NamedTuple):
    """Where an ingestion API is reached; its path does not matter."""

    scheme: str
    host: str | None
    port: int | None


def place_of(ingestion: IngestionSettings) -> Place:
    """Return where an ingestion API is reached."""
    url = URL(ingestion.url)
    return Place(url.scheme, url.host, url.port)


def origins(ingestions: Iterable[IngestionSettings], clock: Clock) -> dict[Place, Origin]:
    """Return what each place is paced by. Of several limits that are set for one, the lowest counts."""
    limits: dict[Place, int | None] = {}
    for each in ingestions:
        place = place_of(each)
        limits[place] = min((limit for limit in (limits.get(place), each.requests_per_minute) if limit), default=None)
    return {place: Origin(limit, clock) for place, limit in limits.items()}
