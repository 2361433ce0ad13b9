"""What bounds the gateway: bytes in flight, and events a second for each storefront (G6)."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from gateway.errors import Refusal

if TYPE_CHECKING:
    from runtime.clock import Clock
    from runtime.metrics import Metrics


class TokenBucket:
    """Events a second, with one second's worth of burst (at least the largest request's)."""

    def __init__(self, per_second: int, clock: Clock, *, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(max(per_second, burst))
        self._tokens = self._burst
        self._clock = clock
        self._last = clock.monotonic()

    def take(self, events: int) -> None:
        """Take the tokens of a request's events. Raises Refusal (RATE_LIMITED) with the seconds until they will be there; then none is
        taken.
        """
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._per_second)
        self._last = now
        if events > self._tokens:
            missing = min(float(events), self._burst) - self._tokens
            raise Refusal(
                "RATE_LIMITED", "Too many requests. Please slow down.", retry_after=seconds(missing / self._per_second)
            )
        self._tokens -= events


class InFlight:
    """Bytes of request bodies that are being read or wait for their acknowledgement."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self._limit = limit
        self._bytes = 0
        metrics.gateway_in_flight_bytes.set_function(lambda: float(self._bytes))

    def take(self, size: int) -> None:
        """Count a body in. Raises Refusal (OVERLOADED) when it does not fit; then it is not counted."""
        if self._bytes + size > self._limit:
            raise Refusal("OVERLOADED", "The gateway is overloaded. Please try again later.", retry_after=seconds(1))
        self._bytes += size

    def give_back(self, size: int) -> None:
        """Count it out."""
        self._bytes -= size


def seconds(wait: float) -> int:
    """Return `wait` as a Retry-After: whole seconds, at least 1, up to a second more so that the senders do not return as one."""
    return max(1, math.ceil(wait + random.random()))  # noqa: S311 - spreads senders, guards nothing
