"""How many requests of one storefront may be out at once."""

from __future__ import annotations

from typing import Final

_TOLERANCE: Final = 2.0
_SLACK_SECONDS: Final = 0.1
"""So much more than usual is noise: our own event loop's, the network's."""
_USUAL_GROWS_BY: Final = 0.03
_USUAL_FALLS_BY: Final = 0.5
_FAILING_SHARE: Final = 0.25
_LONG_SECONDS: Final = 0.25
"""Below, it does not matter how much of the latency is of our own making."""
_WORTH: Final = 0.75
_TRIAL_EVERY: Final = 50
_FIRST_TRIAL: Final = 2
"""The first rounds begin with nobody else in the queue, and tell little of how long it is."""


class Concurrency:
    """Adapts `limit` between 1 and `most`, which it begins with, to what comes back.

    Judged are rounds of as many answers as may be out. In a round of usual latency the limit grows by one, if all of it
    was used. It loses a quarter when latency has risen, half when a quarter of the round failed or at once when the API
    said that it was too much. Whatever was out by then went out under the old limit and is not judged again. What is
    usual follows slowly upwards, and at once when a single request out is no faster: then we are not what slows the API.
    Where answers take long, now and then half as many are out for a round: if they are much faster, it stays at that,
    because the others only stood in a queue.

    Each answer costs well under a microsecond. Nothing here waits.
    """

    __slots__ = (
        "_answers",
        "_before_trial",
        "_failures",
        "_loaded",
        "_most",
        "_rounds",
        "_seconds",
        "_stale",
        "_used",
        "_usual",
        "limit",
    )

    def __init__(self, most: int) -> None:
        self._most = most
        self._usual: float | None = None
        self._stale = 0
        self._before_trial = 0
        self._loaded = 0.0
        self._rounds = _FIRST_TRIAL
        self.limit = most
        """How many may be out."""
        self._begin()

    def answered(self, seconds: float, out: int) -> None:
        """Take note of an answer after `seconds`, when `out` requests were out, this one included."""
        if self._stale:
            self._pass(out)
            return
        self._answers += 1
        self._seconds += seconds
        if out >= self.limit:
            self._used = True
        if self._answers >= self.limit:
            self._judge(out)

    def failed(self, out: int) -> None:
        """Take note of a server's error, or of no answer."""
        if self._stale:
            self._pass(out)
            return
        self._answers += 1
        self._failures += 1
        if self._answers >= self.limit:
            self._judge(out)

    def refused(self, out: int) -> None:
        """Take note of an answer that it was too much."""
        if self._stale:
            self._pass(out)
            return
        self._shrink(self.limit // 2, out)

    def _judge(self, out: int) -> None:
        answers, failures, seconds, used = self._answers, self._failures, self._seconds, self._used
        if failures >= _FAILING_SHARE * answers:
            self._shrink(self.limit // 2, out)
            return
        self._begin()
        typical = seconds / (answers - failures)
        if self._usual is None:
            self._usual = typical
        if self._before_trial:
            self._end_trial(typical)
        elif typical > _TOLERANCE * self._usual + _SLACK_SECONDS:
            if self.limit == 1:
                self._usual = typical
            else:
                self._shrink(self.limit - max(1, self.limit // 4), out)
        elif used and self._rounds <= 0 and self.limit > 1 and typical > _LONG_SECONDS:
            before = self.limit
            self._shrink(self.limit // 2, out)
            self._before_trial, self._loaded = before, typical
        elif used and self.limit < self._most:
            self.limit += 1
        self._rounds -= 1
        self._usual += (typical - self._usual) * (_USUAL_GROWS_BY if typical > self._usual else _USUAL_FALLS_BY)

    def _end_trial(self, typical: float) -> None:
        if typical <= _WORTH * self._loaded:
            self._usual = typical
            self._rounds = 1
        else:
            self.limit = self._before_trial
            self._rounds = _TRIAL_EVERY
        self._before_trial = 0

    def _shrink(self, limit: int, out: int) -> None:
        self.limit = max(1, limit)
        self._stale = out - 1
        self._before_trial = 0
        self._begin()

    def _pass(self, out: int) -> None:
        # Some may have been given up, and will not come back.
        self._stale = min(self._stale, out) - 1

    def _begin(self) -> None:
        self._answers = 0
        self._failures = 0
        self._seconds = 0.0
        self._used = False
