"""Which requests of one storefront may go out now: its limit on requests in flight, and its rests."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, Final

from consumers.outcomes import Action, Kind
from runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from consumers.outcomes import Outcome
    from runtime.clock import Clock

OUTAGE: Final = "outage"
OUTAGE_AFTER: Final = 3
"""So many different batches must fail in a row, none succeeding between them, before the whole storefront rests."""

_FIRST_REST: Final = 1.0
_LONGEST_REST: Final = {"rate": 30.0, OUTAGE: 30.0}
_LONGEST_HOLD: Final = 300.0


class Gate:
    """Lets requests out, at most `limit` at once, and none while the storefront rests.

    A rest begins with an answer that concerns the whole storefront (no quota, no plan, bad key, too fast,
    misdirected), or when nothing but failures come back. When its time is over, one request goes out as the probe:
    if its answer is the API's own, the storefront goes on, else it rests again, longer. Rests grow from 1 s to 30
    s (too fast, outage) or 5 min (what a person must put right), and are never shorter than what the API asked for.

    Requests that are tried again wait in `turn` and go before new ones; as probes the two take turns, so that a
    batch that never succeeds does not keep the storefront closed.

    A storefront that is parked by will (`park`) lets nothing out, not even a probe, until that is lifted; what is out by
    then comes back as ever, and what its answers say of the storefront counts when it goes on.
    """

    def __init__(self, limit: int, clock: Clock, random: Random) -> None:
        self._limit = limit
        self._clock = clock
        self._random = random
        self._changed: Callable[[], None] = _nobody
        self._in_flight = 0
        self._queue: deque[asyncio.Future[bool]] = deque()
        self._parked: str | None = None
        self._reason: str | None = None
        self._until = 0.0
        self._rests = 0
        self._probing = False
        self._new_is_next = False
        self._failing: set[object] = set()

    @property
    def in_flight(self) -> int:
        """How many requests are out."""
        return self._in_flight

    @property
    def reason(self) -> str | None:
        """Why the storefront rests; None while it does not. Being parked comes first."""
        return self._parked or self._reason

    @property
    def rests_until(self) -> float:
        """When the next probe may go out, on the monotonic clock; infinity while the storefront is parked."""
        return self._until if self._parked is None else math.inf

    def park(self, reason: str | None) -> None:
        """Let nothing out for `reason` from now on, in place of an earlier one; None: go on, first with a probe if it rested before."""
        self._parked = reason
        self._changed()

    def opens_at(self) -> float | None:
        """Return when a request may go out, on the monotonic clock: the past if now; None when first one must come back."""
        if self._in_flight >= self._limit or self._probing or self._parked is not None:
            return None
        return -math.inf if self._reason is None else self._until

    @property
    def has_waiting(self) -> bool:
        """Whether requests wait for their turn."""
        return bool(self._queue)

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call `changed`, which is to call `admit`, whenever a request might go out that could not before."""
        self._changed = changed

    async def turn(self) -> bool:
        """Wait until a request that is tried again may go out; it then counts as out. Returns whether it is the probe."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append(future)
        self._changed()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.forgo(probe=future.result())
            elif future in self._queue:
                self._queue.remove(future)
            raise

    def admit(self, *, new: bool) -> bool:
        """Let out what waits in `turn`, as far as it may; return whether a new request may go out after that, if there is one (`new`)."""
        while self._queue and self._open() and not (new and self._new_is_due()):
            future = self._queue.popleft()
            # One that was given up stands there until its task comes to know of it.
            if not future.done():
                future.set_result(self._enter(new=False))
        return self._open() and (not self._queue or self._new_is_due())

    def enter(self) -> bool:
        """Count a new request as out, after `admit` allowed it. Returns whether it is the probe."""
        return self._enter(new=True)

    def leave(self, source: object, outcome: Outcome, *, probe: bool) -> None:
        """Take note of what became of a request. `source` tells batches apart, so that one that always fails is no outage.

        After a delivery it is for the caller to go on: with another `turn`, or with `admit`.
        """
        self._in_flight -= 1
        if probe:
            self._probing = False
        if outcome.pause is not None:
            self._rest(outcome.pause, outcome.retry_after, probe=probe)
        elif outcome.action is Action.RETRY:
            if len(self._failing) < OUTAGE_AFTER:
                self._failing.add(source)
            if probe or len(self._failing) >= OUTAGE_AFTER:
                self._rest(self._reason or OUTAGE, outcome.retry_after, probe=probe)
        else:
            self._failing.clear()
            if probe:
                self._reason = None
                self._rests = 0
        if outcome.kind is not Kind.DELIVERED:
            # What is delivered lands next and frees its keys: only then is it worth looking for more to send.
            self._changed()

    def forgo(self, *, probe: bool) -> None:
        """Take note that a request was given up: nothing became of it."""
        self._in_flight -= 1
        if probe:
            self._probing = False
        self._changed()

    def _open(self) -> bool:
        opens_at = self.opens_at()
        return opens_at is not None and opens_at <= self._clock.monotonic()

    def _new_is_due(self) -> bool:
        return self._reason is not None and self._new_is_next

    def _enter(self, *, new: bool) -> bool:
        self._in_flight += 1
        if self._reason is None:
            return False
        self._probing = True
        self._new_is_next = not new
        return True

    def _rest(self, reason: str, retry_after: float, *, probe: bool) -> None:
        begun = self._reason is not None
        if begun and not probe:
            # A straggler that went out before the rest began: it may prolong the rest, not make the next one longer.
            self._until = max(self._until, self._clock.monotonic() + retry_after)
            return
        self._rests = self._rests + 1 if reason == self._reason else 1
        self._reason = reason
        backoff = Backoff(self._random, base=_FIRST_REST, cap=_LONGEST_REST.get(reason, _LONGEST_HOLD))
        longest = backoff.longest(self._rests)
        # Half of it is certain: a rest that full jitter makes next to nothing would be none.
        wait = longest / 2 + self._random.uniform(0, longest / 2)
        self._until = self._clock.monotonic() + max(wait, retry_after)


def _nobody() -> None:
    """Stand for whoever is told of changes before there is somebody."""
