"""The pace of requests to one ingestion origin, which the storefronts behind it share (VENDORS: its limit is per address)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from yarl import URL

from consumers.api.outcomes import LONGEST_WAIT, Action, Kind
from consumers.pace.learnt import Pace
from consumers.pace.line import Line
from consumers.pace.pause import FIRST_SECONDS, Pause
from consumers.pace.window import MINUTE, Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.api.allowance import Allowance
    from consumers.api.outcomes import Outcome
    from runtime.clock import Clock
    from runtime.settings import IngestionSettings

_TRANSIT_SECONDS: Final = 1.0
"""Requests that went out so far apart may arrive together: a minute of ours must not fill more than a minute of the API's."""
_BURST_OF_SET: Final = 60
_AGAIN_SECONDS: Final = 1.0
_ROUNDING: Final = 1e-9
_TURNS_MISSED: Final = 2
"""Of a slow pace: whoever asks sooner would only be refused again."""
_LONGEST_FOR_OTHERS: Final = MINUTE
"""A storefront that is told to wait longer than the API's window may be meant alone."""
_JUDGED: Final = (Action.SETTLE, Action.HALVE)


class Origin:
    """Spreads requests evenly, at the slowest of three: what is set, what the answers tell (`Window`), what was refused (`Pace`).

    Of `requests_per_minute`, if it is set, any 60 seconds get at most as many. A 429 closes the origin for all (`Pause`): until
    the window is over if the answer says when that is; else for as long as it asks, but for those who were not told so
    no longer than a minute. It does not close it if it says that more remains, or if it meets the same storefront again
    before that had an answer, while others had: then that one rests alone.

    Members (the gates of its storefronts) that were refused stand in `Line`: those with a backlog have equal shares, and what
    one has no use for is the others'. A process knows only its own requests; those of others from the same address show
    in what remains, and in what is refused. Nothing here waits.
    """

    def __init__(self, requests_per_minute: int | None, clock: Clock) -> None:
        self._clock = clock
        self._set_rate = self._set_burst = math.inf
        if requests_per_minute is not None:
            self._set_burst = float(max(1, requests_per_minute // _BURST_OF_SET))
            self._set_rate = (requests_per_minute - self._set_burst + 1) / (MINUTE + _TRANSIT_SECONDS)
        now = clock.monotonic()
        self._window = Window()
        self._pace = Pace(now)
        self._pause = Pause()
        self._line = Line()
        self._limited = requests_per_minute is not None
        self._tokens = self._set_burst
        self._filled_at = now
        self._out = 0
        self._taken = 0
        # Each whose last answer was a refusal, with how many requests of all had been taken by then.
        self._refused: dict[object, int] = {}

    @property
    def closed(self) -> bool:
        """Whether the API said that it was too much, and has not answered otherwise since."""
        return self._pause.on

    def opens_at(self, member: object) -> float:
        """Return when `member` may send, on the monotonic clock: the past if now. Those before it in line must have sent by then."""
        if not self._limited and not self._pause.on:
            return -math.inf
        now = self._clock.monotonic()
        self._fill(now)
        before = self._line.before(member, now)
        if self._pause.on:
            if now < self._pause.until:
                return self._pause.until
            if before or not self._pause.may_ask(now):
                return now + _AGAIN_SECONDS
        elif self._window.remaining < before + 1:
            return self._window.ends_at
        missing = before + 1 - self._tokens
        if missing <= _ROUNDING and not before:
            return -math.inf
        return now + max(0.0, missing) / self._rate(now)

    def admits(self, member: object) -> bool:
        """Say whether `member` may send now; if not, it stands in line."""
        if self.opens_at(member) == -math.inf:
            return True
        self._line.ask(member, self._clock.monotonic())
        return False

    def forget(self, member: object, *, full: bool = False) -> None:
        """Take note that `member` has nothing to send, or may not for reasons of its own; `full`: it has as many out as it may."""
        if full:
            self._pace.press(self._clock.monotonic())
        self._line.leave(member)

    def sent(self, member: object) -> None:
        """Take note of a request, after `admits`."""
        self._out += 1
        if self._pause.on:
            self._pause.asks()
        pressed = bool(self._line)
        self._line.leave(member)
        if self._limited:
            now = self._clock.monotonic()
            self._fill(now)
            self._tokens -= 1
            self._window.remaining -= 1
            self._pace.sent(now, pressed=pressed)

    def answered(
        self, member: object, outcome: Outcome | None, allowance: Allowance | None, seconds: float = 0.0
    ) -> None:
        """Take note of what became of a request of `member` after `seconds` (None: it was given up), and what its answer told."""
        self._out -= 1
        if self._out == 0:
            self._pause.ask_again()
        if outcome is None:
            return
        now = self._clock.monotonic()
        began = now - seconds
        told = allowance if allowance is not None and allowance.remaining is not None else None
        if outcome.kind is Kind.RATE and (told is None or told.remaining == 0):
            self._too_much(member, outcome, told, now, began)
            return
        judged = outcome.action in _JUDGED
        if judged:
            self._taken += 1
            self._pace.taken(now)
            self._refused.pop(member, None)
        if self._pause.concerns(began):
            if told is None and not judged:
                self._pause.ask_again()
            else:
                self._resume(now, knowing=told is not None)
        if told is not None and not self._pause.on:
            self._fill(now)
            self._window.learn(told, now, self._out)
            self._limited = True

    def _resume(self, now: float, *, knowing: bool) -> None:
        """Open again; without a word of how much remains, what could have gone out meanwhile does not go at once."""
        self._fill(now)
        self._pause.end()
        self._pace.resumed(now)
        self._limited = self._limited or self._pace.rate < math.inf
        if self._limited and not knowing:
            self._tokens = min(self._tokens, 0.0)

    def _too_much(self, member: object, outcome: Outcome, told: Allowance | None, now: float, began: float) -> None:
        self._fill(now)
        asked = min(_LONGEST_FOR_OTHERS if told is None else LONGEST_WAIT, outcome.retry_after)
        if told is not None and told.reset is not None:
            asked = min(LONGEST_WAIT, max(told.reset, outcome.retry_after))
        elif self._concerns_it_alone(member) or (began < self._pause.until and not self._pause.on):
            # The one rests by itself; the other was out when an earlier pause began.
            return
        if told is None or told.reset is None or told.limit is None:
            self._pace.refused(now)
        self._pause.refused(now, began, asked, max(FIRST_SECONDS, _TURNS_MISSED / self._pace.rate))
        if told is not None and told.reset is not None:
            self._window.exhausted(told, self._pause.until)
            self._limited = True

    def _concerns_it_alone(self, member: object) -> bool:
        """Say whether `member` is refused a second time although others had answers since the first."""
        alone = self._taken > self._refused.get(member, self._taken)
        self._refused[member] = self._taken
        return alone and not self._pause.on

    def _rate(self, now: float) -> float:
        """Return how many requests a second may go out at present; above 0."""
        return min(self._set_rate, self._window.rate(now), self._pace.rate)

    def _fill(self, now: float) -> None:
        self._window.turn(now)
        rate = self._rate(now)
        gained = math.inf if rate == math.inf else (now - self._filled_at) * rate
        burst = min(self._set_burst, self._window.burst, self._pace.burst)
        self._tokens = min(burst, self._tokens + gained)
        self._filled_at = now


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
