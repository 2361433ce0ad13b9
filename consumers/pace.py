"""The pace that an API takes which says nothing of its limit until it refuses: learnt from its 429s alone."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

GROWTH_SECONDS: Final = 60.0
CUT: Final = 0.05
LEAST_REQUESTS: Final = 130
LEAST: Final = 0.5
"""Of requests a second. Slower, one of several processes could be starved by the others, because only who sends learns."""
_LARGEST_CUT: Final = 0.5
_SOON_SECONDS: Final = 10.0
_CUT_OF_SOON: Final = 0.15
_MINUTE: Final = 60.0
_MARK_SECONDS: Final = 5.0
_LONG_SECONDS: Final = 5.0
_PRESSED_SECONDS: Final = 2.0
_STALE_SECONDS: Final = 120.0
_DOUBLES_SECONDS: Final = 10.0
_FURTHEST: Final = 8.0
_LATE_SECONDS: Final = 0.25
"""The loop that sends may come so late; what could have gone out meanwhile goes at once."""


class Pace:
    """How many requests a second may go out. Unlimited until refusals have shown what is too fast.

    A burst of refusals is one: it cuts the pace by a twentieth, or to what the API really took since the last one if that was
    less, but never below half. From there the pace grows along a cubic curve, as that of TCP CUBIC and of the AWS SDKs:
    fast back to where it was refused, slowly around it, and ever faster beyond, because then the API must allow more. It
    takes a minute to come back, or two hundred requests where that is longer, so that however slow the API, few of a
    hundred requests find its limit. Where little is known, at first and after a time in which nobody needed the pace, it
    doubles every 10 s instead, up to eight times of what it was.

    It grows only while somebody waits for it, and is cut only when somebody did: what nobody uses is no evidence. A single
    refusal while the pace is unlimited, with answers as usual after it, teaches nothing either: it may have been
    somebody else's. Moments are of the monotonic clock. Nothing here waits.
    """

    def __init__(self, now: float) -> None:
        self._base = math.inf
        self._searching = False
        # How far along the curve, in seconds.
        self._grown = 0.0
        self._sent_at = now
        self._pressed_at = now
        self._pressed = False
        self._refused_at = self._refused_before = -math.inf
        # Those of the present burst, and how many requests there must be before the next.
        self._refusals = 0
        self._least_requests = LEAST_REQUESTS
        self._resumed_at = now
        self._taken = self._taken_before = 0
        # When how much had been taken, of the last minute.
        self._marks: deque[tuple[float, int]] = deque([(now, 0)])

    @property
    def rate(self) -> float:
        """How many requests a second may go out; at least 0.5, infinity while nothing is known."""
        if self._base == math.inf:
            return math.inf
        if self._searching:
            return self._base * min(_FURTHEST, math.exp2(self._grown / _DOUBLES_SECONDS))
        return self._base * (1 + CUT * (1 + (self._grown / GROWTH_SECONDS - 1) ** 3))

    @property
    def burst(self) -> float:
        """How many may go at once."""
        return max(1.0, self.rate * _LATE_SECONDS)

    def press(self, now: float) -> None:
        """Take note that somebody would send more, and may not."""
        if now - self._pressed_at >= _STALE_SECONDS and self._base < math.inf:
            self._begin(self.rate, searching=True)
        self._pressed_at = now

    def sent(self, now: float, *, pressed: bool) -> None:
        """Take note of a request; `pressed`: it, or another, had to wait for the pace."""
        if pressed:
            self.press(now)
            since = now - self._sent_at
            self._grown += since if self._searching else min(since, GROWTH_SECONDS / self._least_requests)
            if self._searching and self._grown >= _DOUBLES_SECONDS * math.log2(_FURTHEST):
                self._begin(self.rate)
        self._sent_at = now

    def taken(self, now: float) -> None:
        """Take note that the API took a request."""
        if now - self._marks[-1][0] >= _MARK_SECONDS:
            self._marks.append((now, self._taken))
            while self._marks[0][0] < now - _MINUTE:
                self._marks.popleft()
        self._taken += 1

    def refused(self, now: float) -> None:
        """Take note that the API refused a request; up to `resumed` it is one burst, and but for single ones nothing goes out."""
        self._refusals += 1
        if self._refusals == 1:
            self._refused_before, self._refused_at = self._refused_at, now
            self._pressed = now - self._pressed_at <= _PRESSED_SECONDS

    def resumed(self, now: float) -> None:
        """Take note that the API takes requests again."""
        if self._refusals and self._pressed:
            self._least_requests = LEAST_REQUESTS * (1 if self.rate == math.inf else self._refusals)
            self._learn(self._found(now), long=now - self._refused_at >= _LONG_SECONDS)
        self._refusals = 0
        self._resumed_at = now
        self._taken_before = self._taken

    def _learn(self, found: float, *, long: bool) -> None:
        rate = self.rate
        if rate == math.inf:
            if long or self._refused_at - self._refused_before <= _MINUTE:
                # Who is let in again so soon, and refused so soon, has seen little of what would be taken.
                self._begin(found, searching=not long)
        elif self._searching and not long:
            self._begin(rate * (1 - CUT))
        elif self._refused_at - self._resumed_at < _SOON_SECONDS and not long:
            self._begin(rate * (1 - _CUT_OF_SOON))
        else:
            self._begin(max(rate * _LARGEST_CUT, min(rate * (1 - CUT), found)))

    def _begin(self, rate: float, *, searching: bool = False) -> None:
        self._base = max(LEAST, rate)
        self._grown = 0.0
        self._searching = searching

    def _found(self, now: float) -> float:
        """Return how many requests a second were taken: since it last began anew, or in the last minute if that is more.

        The one is too little when hardly anything was sent for a time, the other when the API's window is longer.
        """
        since = self._resumed_at, self._taken_before
        minute = next((mark for mark in self._marks if mark[0] >= now - _MINUTE - _MARK_SECONDS), since)
        return max((self._taken - count) / max(now - at, 1.0) for at, count in (since, minute))
