"""Which requests of one storefront may go out now: its concurrency, its rests, and the pace of its origin."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from consumers.api.outcomes import Action, Kind
from consumers.pace.circuit import RATE, Circuit
from consumers.pace.concurrency import Concurrency
from consumers.pace.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from consumers.api.allowance import Allowance
    from consumers.api.outcomes import Outcome
    from consumers.pace.origin import Origin
    from runtime.clock import Clock


class Gate:
    """Lets requests out, at most `limit` at once, none while the storefront rests, and no faster than its origin takes.

    The limit adapts to what comes back (`Concurrency`), when the storefront rests says its `Circuit`, the pace is shared
    with the other storefronts of its `Origin`. Requests that are tried again wait in `turn`; they go before new ones,
    and the urgent among them before all else (`Turns`).

    A storefront that is parked by will (`park`) lets nothing out, not even a probe, until that is lifted; what is out by
    then comes back as ever, and what its answers say of the storefront counts when it goes on.
    """

    def __init__(self, limit: int, clock: Clock, random: Random, origin: Origin) -> None:
        self._concurrency = Concurrency(limit)
        self._circuit = Circuit(clock, random)
        self._origin = origin
        self._turns = Turns()
        self._clock = clock
        self._changed: Callable[[], None] = _nobody
        self._in_flight = 0
        self._parked: str | None = None
        self._probing = False

    @property
    def in_flight(self) -> int:
        """How many requests are out."""
        return self._in_flight

    @property
    def limit(self) -> int:
        """How many requests may be out at present."""
        return self._concurrency.limit

    @property
    def reason(self) -> str | None:
        """Why the storefront rests; None while it does not. Being parked comes first, its origin's pause last."""
        return self._parked or self._circuit.reason or (RATE if self._origin.closed else None)

    @property
    def rests_until(self) -> float:
        """When the next probe may go out, on the monotonic clock; infinity while the storefront is parked."""
        if self._parked is not None:
            return math.inf
        return max(self._circuit.until, self._origin.opens_at(self))

    def park(self, reason: str | None) -> None:
        """Let nothing out for `reason` from now on, in place of an earlier one; None: go on, first with a probe if it rested before."""
        self._parked = reason
        self._changed()

    def opens_at(self) -> float | None:
        """Return when a request may go out, on the monotonic clock: the past if now; None when first one must come back."""
        if not self._may_open():
            return None
        at = -math.inf if self._circuit.reason is None else self._circuit.until
        return max(at, self._origin.opens_at(self))

    @property
    def has_waiting(self) -> bool:
        """Whether requests wait for their turn."""
        return bool(self._turns)

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call `changed`, which is to call `admit`, whenever a request might go out that could not before."""
        self._changed = changed

    async def turn(self, *, urgent: bool = False) -> bool:
        """Wait until a request that is tried again may go out; it then counts as out. Returns whether it is the probe."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._turns.add(future, urgent=urgent)
        self._changed()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.forgo(probe=future.result())
            else:
                self._turns.discard(future)
            raise

    def admit(self, *, new: bool) -> bool:
        """Let out what waits in `turn`, as far as it may; return whether a new request may go out after that, if there is one (`new`)."""
        probing = self._circuit.reason is not None
        while self._turns and self._open():
            future = self._turns.take(new=new, probe=probing)
            if future is None:
                return True
            # One that was given up stands there until its task comes to know of it.
            if not future.done():
                future.set_result(self._enter())
        if not new and not self._turns:
            self._origin.forget(self)
            return False
        return not self._turns and self._open()

    def enter(self) -> bool:
        """Count a new request as out, after `admit` allowed it. Returns whether it is the probe."""
        self._turns.new_probe()
        return self._enter()

    def leave(
        self,
        source: object,
        outcome: Outcome,
        *,
        probe: bool,
        seconds: float = 0.0,
        allowance: Allowance | None = None,
    ) -> None:
        """Take note of what became of a request after `seconds`, and of what its answer told of the API's limits.

        `source` tells batches apart, so that one that always fails is no outage. After a delivery it is for the caller to
        go on: with another `turn`, or with `admit`.
        """
        if outcome.kind is Kind.RATE:
            self._concurrency.refused(self._in_flight)
        elif outcome.action is Action.RETRY:
            self._concurrency.failed(self._in_flight)
        else:
            self._concurrency.answered(seconds, self._in_flight)
        self._out_no_more(probe=probe)
        self._origin.answered(self, outcome, allowance, seconds)
        rested = self._circuit.reason is not None
        self._circuit.take(source, outcome, probe=probe)
        if not rested and self._circuit.reason is not None:
            self._turns.rest_begins()
        if outcome.kind is not Kind.DELIVERED:
            # What is delivered lands next and frees its keys: only then is it worth looking for more to send.
            self._changed()

    def forgo(self, *, probe: bool) -> None:
        """Take note that a request was given up: nothing became of it."""
        self._out_no_more(probe=probe)
        self._origin.answered(self, None, None)
        self._changed()

    def _out_no_more(self, *, probe: bool) -> None:
        self._in_flight -= 1
        if probe:
            self._probing = False

    def _may_open(self) -> bool:
        return self._in_flight < self._concurrency.limit and not self._probing and self._parked is None

    def _open(self) -> bool:
        """Say whether a request may go out now; if only the pace is against it, it stands in line."""
        if self._may_open() and (self._circuit.reason is None or self._circuit.until <= self._clock.monotonic()):
            return self._origin.admits(self)
        self._origin.forget(self, full=self._in_flight >= self._concurrency.limit)
        return False

    def _enter(self) -> bool:
        self._in_flight += 1
        self._origin.sent(self)
        if self._circuit.reason is None:
            return False
        self._probing = True
        return True


def _nobody() -> None:
    """Stand for whoever is told of changes before there is somebody."""
