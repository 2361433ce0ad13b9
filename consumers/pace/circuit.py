"""Whether one storefront rests, why, and until when: its circuit breaker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consumers.api.outcomes import Action
from runtime.backoff import Backoff

if TYPE_CHECKING:
    from random import Random

    from consumers.api.outcomes import Outcome
    from runtime.clock import Clock

OUTAGE: Final = "outage"
OUTAGE_AFTER: Final = 3
"""So many different batches must fail in a row, none succeeding between them, before the whole storefront rests."""
RATE: Final = "rate"

_FAILED: Final = (Action.RETRY, Action.ISOLATE)
_FIRST_REST: Final = 1.0
_LONGEST_REST: Final = {RATE: 30.0, OUTAGE: 30.0}
_LONGEST_HOLD: Final = 300.0


class Circuit:
    """Closed, requests go out as they come. Open, the storefront rests, and one probe goes out each time a rest is over.

    It opens with an answer that concerns the whole storefront (no quota, no plan, bad key, too fast, misdirected, "come
    again later"), or when nothing but failures come back. It closes when a probe's answer is the API's own. Rests grow
    from 1 s to 30 s (too fast, outage) or 5 min (what a person must put right), and none ends before what the API asked
    for, whoever was told. Nothing here waits.
    """

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._rests = 0
        self._asked_until = 0.0
        self._failing: set[object] = set()
        self.reason: str | None = None
        """Why the storefront rests; None while it does not."""
        self.until = 0.0
        """When the present rest is over, on the monotonic clock."""

    def take(self, source: object, outcome: Outcome, *, probe: bool) -> None:
        """Take note of what became of a request. `source` tells batches apart, so that one that always fails is no outage."""
        if outcome.retry_after:
            self._asked_until = max(self._asked_until, self._clock.monotonic() + outcome.retry_after)
        if outcome.pause is not None:
            self._rest(outcome.pause, probe=probe)
        elif outcome.action in _FAILED:
            if len(self._failing) < OUTAGE_AFTER:
                self._failing.add(source)
            if probe or outcome.retry_after or len(self._failing) >= OUTAGE_AFTER:
                self._rest(self.reason or OUTAGE, probe=probe)
        else:
            self._failing.clear()
            if probe:
                self._close()

    def _close(self) -> None:
        self._rests = 0
        # One that went out before the probe, and came back after it, may have been told to wait.
        if self._asked_until > self._clock.monotonic():
            self.until = self._asked_until
        else:
            self.reason = None

    def _rest(self, reason: str, *, probe: bool) -> None:
        if self.reason is not None and not probe:
            # A straggler that went out before the rest began: it may prolong the rest, not make the next one longer.
            self.until = max(self.until, self._asked_until)
            return
        self._rests = self._rests + 1 if reason == self.reason else 1
        self.reason = reason
        backoff = Backoff(self._random, base=_FIRST_REST, cap=_LONGEST_REST.get(reason, _LONGEST_HOLD))
        longest = backoff.longest(self._rests)
        # Half of it is certain: a rest that full jitter makes next to nothing would be none.
        wait = longest / 2 + self._random.uniform(0, longest / 2)
        self.until = max(self._clock.monotonic() + wait, self._asked_until)
