"""What bounds the gateway: requests and bytes in flight, and events a second for each storefront (G6)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from gateway.backlog import Backlog, seconds
from gateway.errors import Refusal

if TYPE_CHECKING:
    from runtime.clock import Clock
    from runtime.metrics import Metrics

FAIRNESS = 3
"""How many times what is still free one storefront may have. One that floods alone takes three quarters; the next finds room."""
RECORD_BYTES = 512
"""What an event takes beyond its own bytes: the headers of its record, and the objects that carry it."""


class Standing(NamedTuple):
    """What the RateLimit headers say: events that may come at once, how many of them now, seconds until it is all of them again."""

    limit: int
    remaining: int
    reset: int


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
        self._fill()
        if events > self._tokens:
            missing = min(float(events), self._burst) - self._tokens
            raise Refusal(
                "RATE_LIMITED", "Too many requests. Please slow down.", retry_after=seconds(missing / self._per_second)
            )
        self._tokens -= events

    def standing(self) -> Standing:
        """Return where the bucket stands now."""
        self._fill()
        reset = math.ceil((self._burst - self._tokens) / self._per_second)
        return Standing(int(self._burst), int(self._tokens), reset)

    def _fill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._per_second)
        self._last = now


class Share:
    """What one storefront has in flight."""

    __slots__ = ("bytes", "requests")

    def __init__(self) -> None:
        self.bytes = 0
        self.requests = 0


class InFlight:
    """Requests that are being read or wait for their acknowledgement, and their bytes: so many of all, and of each storefront `FAIRNESS`
    times what is free. While there is plenty that binds nobody; when it gets scarce, those who have most wait first.
    """

    def __init__(self, max_bytes: int, max_requests: int, metrics: Metrics, clock: Clock) -> None:
        self.free_bytes = max_bytes
        self.free_requests = max_requests
        self._max_bytes = max_bytes
        self.backlog = Backlog(clock)
        self._shares: dict[str, Share] = {}
        metrics.gateway_in_flight_bytes.set_function(lambda: float(self._max_bytes - self.free_bytes))

    def enter(self, storefront: str) -> Stay:
        """Count a request in; "": nobody knows yet whose. Raises Refusal (OVERLOADED); then it is not counted."""
        share = self.share(storefront)
        free = self.free_requests
        if free <= 0 or share.requests >= FAIRNESS * free or share.bytes >= FAIRNESS * self.free_bytes:
            raise self.overloaded()
        self.free_requests = free - 1
        share.requests += 1
        return Stay(self, share)

    def admit(self, share: Share, size: int) -> bool:
        """Count in a request of `size` bytes that is known whole, if there is room for it; `dismiss` counts it out."""
        free, free_bytes = self.free_requests, self.free_bytes
        if (
            free <= 0
            or share.requests >= FAIRNESS * free
            or size > free_bytes
            or share.bytes + size > FAIRNESS * free_bytes
        ):
            return False
        self.free_requests = free - 1
        self.free_bytes = free_bytes - size
        share.requests += 1
        share.bytes += size
        return True

    def dismiss(self, share: Share, requests: int, size: int, *, acknowledged: bool) -> None:
        """Count out so many requests that were admitted, together of `size` bytes."""
        self.free_requests += requests
        self.free_bytes += size
        share.requests -= requests
        share.bytes -= size
        if acknowledged:
            self.backlog.gone += size

    def share(self, storefront: str) -> Share:
        """Return what is counted for a storefront."""
        share = self._shares.get(storefront)
        if share is None:
            share = self._shares[storefront] = Share()
        return share

    def overloaded(self) -> Refusal:
        """Return what a request is told that has no room."""
        return Refusal(
            "OVERLOADED", "The gateway is overloaded. Please try again later.", retry_after=self.retry_after()
        )

    def retry_after(self, at_least: float = 1.0) -> int:
        """Return the seconds after which what is in flight now should be gone."""
        return seconds(max(at_least, self.backlog.wait(self._max_bytes - self.free_bytes)))


class Stay:
    """One request's stay among those in flight. Life: `weigh` and `belongs_to` as often as more is known, `leave` once."""

    __slots__ = ("_bytes", "_in_flight", "_share")

    def __init__(self, in_flight: InFlight, share: Share) -> None:
        self._in_flight = in_flight
        self._share = share
        self._bytes = 0

    def weigh(self, size: int) -> None:
        """Count the request as `size` bytes from now on. Raises Refusal (OVERLOADED) when it is more than before and does not fit; then
        it counts as before.
        """
        in_flight = self._in_flight
        share = self._share
        more = size - self._bytes
        free = in_flight.free_bytes
        if more > 0 and (more > free or share.bytes + more > FAIRNESS * free):
            raise in_flight.overloaded()
        in_flight.free_bytes = free - more
        share.bytes += more
        self._bytes = size

    def belongs_to(self, storefront: str) -> None:
        """Count the request as that storefront's, once its key is known."""
        share = self._in_flight.share(storefront)
        if share is not self._share:
            for each, sign in ((self._share, -1), (share, 1)):
                each.requests += sign
                each.bytes += sign * self._bytes
            self._share = share

    def acknowledged(self) -> None:
        """Note that what it brought is on stable storage."""
        self._in_flight.backlog.gone += self._bytes

    def leave(self) -> None:
        """Count the request out."""
        in_flight = self._in_flight
        share = self._share
        in_flight.free_requests += 1
        in_flight.free_bytes += self._bytes
        share.requests -= 1
        share.bytes -= self._bytes
