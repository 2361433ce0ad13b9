"""The pace that an API takes which says nothing of its limit until it refuses: learnt from its 429s alone."""

from __future__ import annotations

import math
from typing import Final

from consumers.pace.throughput import Throughput

LEAST: Final = 0.5
"""Of requests a second. Slower, one of several processes could be starved by the others: only who sends can learn."""

_CUT: Final = 0.05
_CUT_SOON: Final = 0.15
_LARGEST_CUT: Final = 0.5
_SOON_SECONDS: Final = 10.0
"""Refused so soon after the last cut, it was far too small."""
_GROWTH_SECONDS: Final = 60.0
_LEAST_REQUESTS: Final = 130
_MINUTE: Final = 60.0
_LONG_SECONDS: Final = 5.0
"""An API that takes nothing for so long has given all of its window: what it took until then is what it takes."""
_FEW: Final = 30
_PRESSED_SECONDS: Final = 2.0
_STALE_SECONDS: Final = 120.0
_DOUBLES_SECONDS: Final = 10.0
_FURTHEST: Final = 8.0
_LATE_SECONDS: Final = 0.25
"""The loop that sends may come so late; what could have gone out meanwhile goes at once."""


class Pace:
    """How many requests a second may go out. Unlimited until refusals have shown what is too fast.

    A burst of refusals is one: it cuts the pace by a twentieth, or to what the API really took since the last if that is less,
    but never below half. From there the pace grows along a cubic curve, as TCP CUBIC's and that of the AWS SDKs: fast
    back to where it was refused, slowly around it, and ever faster beyond, because then the API must allow more. To come
    back takes a minute, and at least 130 requests for each refusal of the last burst: so less than one in a hundred is
    refused, however slow the API, and however many are out when it refuses. Where little is known, at first and when
    nobody needed the pace for two minutes, it doubles every 10 s instead, up to eight times of what it was.

    It grows only while somebody waits for it, and is cut only if somebody did: what nobody uses is no evidence. A single
    refusal while the pace is unlimited, with answers as usual after it, teaches nothing either: it may have been
    somebody else's. Moments are of the monotonic clock. Nothing here waits.

    Life: `press` and `sent` as requests go out, `taken` as they are answered; `refused`, perhaps several times, then `resumed`.
    """

    def __init__(self, now: float) -> None:
        self._throughput = Throughput(now)
        # Where the curve, or the search, begins.
        self._base = math.inf
        self._searching = False
        # How far along the curve, in seconds.
        self._grown = 0.0
        self._longest_step = _GROWTH_SECONDS / _LEAST_REQUESTS
        self._sent_at = now
        self._pressed_at = -math.inf
        # Of the present burst of refusals, or of the last one.
        self._refusals = 0
        self._resumed = False
        self._pressed = False
        self._refused_at = self._refused_before = -math.inf

    @property
    def rate(self) -> float:
        """How many requests a second may go out; at least 0.5, infinity while nothing is known."""
        if self._base == math.inf:
            return math.inf
        if self._searching:
            return self._base * min(_FURTHEST, math.exp2(self._grown / _DOUBLES_SECONDS))
        return self._base * (1 + _CUT * (1 + (self._grown / _GROWTH_SECONDS - 1) ** 3))

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
        since, self._sent_at = now - self._sent_at, now
        if not pressed:
            return
        self.press(now)
        self._grown += since if self._searching else min(since, self._longest_step)
        if self._searching and self._grown >= _DOUBLES_SECONDS * math.log2(_FURTHEST):
            self._begin(self.rate)

    def taken(self, now: float) -> None:
        """Take note that the API took a request."""
        self._throughput.taken(now)

    def refused(self, now: float) -> None:
        """Take note that the API refused a request; up to `resumed` it is one burst, and but for single ones nothing goes out."""
        self._refusals += 1
        if self._refusals == 1:
            self._refused_before, self._refused_at = self._refused_at, now
            self._pressed = now - self._pressed_at <= _PRESSED_SECONDS

    def resumed(self, now: float) -> None:
        """Take note that the API takes requests again."""
        if self._refusals and self._pressed:
            if self.rate < math.inf:
                self._longest_step = _GROWTH_SECONDS / (_LEAST_REQUESTS * self._refusals)
            self._learn(self._throughput.rate(now), long=now - self._refused_at >= _LONG_SECONDS)
        self._refusals = 0
        self._resumed = True
        self._throughput.begin_anew(now)

    def _learn(self, found: float, *, long: bool) -> None:
        rate = self.rate
        if rate == math.inf:
            few = self._throughput.count < _FEW
            again = self._refused_at - self._refused_before <= _MINUTE
            # The first window may have been used up by others before we came.
            if again or (long and (self._resumed or not few)):
                # Who was let in and refused again so soon has seen little of what would be taken.
                self._begin(found, searching=few or not long)
        elif self._searching and not long:
            self._begin(rate * (1 - _CUT))
        elif self._refused_at - self._throughput.began_at < _SOON_SECONDS and not long:
            self._begin(rate * (1 - _CUT_SOON))
        else:
            self._begin(max(rate * _LARGEST_CUT, min(rate * (1 - _CUT), found)))

    def _begin(self, rate: float, *, searching: bool = False) -> None:
        self._base = max(LEAST, rate)
        self._grown = 0.0
        self._searching = searching
