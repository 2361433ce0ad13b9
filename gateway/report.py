"""What is told of each request: one log line, the counters, the time it took."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from runtime.logs import info_lines
from runtime.metrics import observe_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client import Counter, Histogram
    from structlog.typing import FilteringBoundLogger

    from gateway.limits import TokenBucket
    from gateway.storefronts import Storefront
    from runtime.clock import Clock
    from runtime.metrics import Metrics

Result: TypeAlias = Literal["accepted", "refused", "rate_limited", "unavailable"]


class Exchange:
    """One request and its answer, as far as it has come; filled in on the way."""

    __slots__ = (
        "accepted",
        "bytes",
        "code",
        "origin",
        "rate",
        "refused",
        "request_id",
        "route",
        "sender",
        "started",
        "storefront",
    )

    def __init__(self, route: str, request_id: str, origin: str | None, started: float) -> None:
        self.route = route
        self.request_id = request_id
        self.origin = origin
        self.started = started
        self.sender: Storefront | None = None
        self.rate: TokenBucket | None = None
        self.storefront = ""
        self.bytes = 0
        self.accepted = 0
        self.refused = 0
        self.code: str | None = None


class Single(Protocol):
    """A request of one event that was accepted: when it came (monotonic seconds), how long its body was, its id."""

    @property
    def started(self) -> float:
        """When it came, in monotonic seconds."""

    @property
    def bytes(self) -> int:
        """How long its body was."""

    @property
    def request_id(self) -> str:
        """What it is called."""


class Reporter:
    """Writes what an exchange became. Children of the metrics are looked up once: a lookup costs more than the count."""

    def __init__(self, metrics: Metrics, log: FilteringBoundLogger, clock: Clock) -> None:
        self._metrics = metrics
        self._log = log
        self._monotonic = clock.monotonic
        self._events: dict[tuple[str, str, Result], Counter] = {}
        self._seconds: dict[tuple[str, int], Histogram] = {}

    def count(self, storefront: str, event_types: Iterable[str], result: Result) -> None:
        """Add events, given by their types, to `gateway_events_total`: one call of the library for each type."""
        for event_type, number in collections.Counter(event_types).items():
            labels = (storefront, event_type, result)
            child = self._events.get(labels)
            if child is None:
                child = self._events[labels] = self._metrics.gateway_events_total.labels(*labels)
            child.inc(number)

    def finish(self, exchange: Exchange, status: int) -> None:
        """Observe the time and write the one line."""
        elapsed = self._monotonic() - exchange.started
        self._histogram(exchange.route, status).observe(elapsed)
        self._log.info(
            "request",
            route=exchange.route,
            status=status,
            code=exchange.code,
            storefront=exchange.storefront,
            accepted=exchange.accepted,
            refused=exchange.refused,
            bytes=exchange.bytes,
            ms=round(elapsed * 1000, 2),
            request_id=exchange.request_id,
        )

    def finish_singles(self, route: str, storefront: str, singles: Sequence[Single]) -> None:
        """Do what `finish` does for requests of one event that are all accepted now."""
        now = self._monotonic()
        seconds = [now - each.started for each in singles]
        observe_all(self._histogram(route, 200), seconds)
        shared = {
            "route": route,
            "status": 200,
            "code": None,
            "storefront": storefront,
            "accepted": 1,
            "refused": 0,
        }
        info_lines(
            self._log,
            "request",
            shared,
            [
                {"bytes": each.bytes, "ms": round(elapsed * 1000, 2), "request_id": each.request_id}
                for each, elapsed in zip(singles, seconds, strict=True)
            ],
        )

    def _histogram(self, route: str, status: int) -> Histogram:
        child = self._seconds.get((route, status))
        if child is None:
            child = self._metrics.gateway_request_seconds.labels(route, str(status))
            self._seconds[route, status] = child
        return child
