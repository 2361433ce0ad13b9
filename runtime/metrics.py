"""The metric catalogue: every metric that Sluice exposes, typed (RECORDS §3).

Counters are for rates; the balance of what was accepted and delivered is `sluice audit`'s, from durable state. Label
sets are bounded: names from the configuration, and the closed lists below.
"""

from __future__ import annotations

import importlib.metadata
import itertools
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

import prometheus_client
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client.registry import Collector

EVENT_RESULTS: Final = ("accepted", "refused", "rate_limited", "unavailable")
DELIVERY_RESULTS: Final = ("delivered", "dead_lettered")
QUOTA_KINDS: Final = ("rate", "quota", "plan", "auth")
PAUSE_REASONS: Final = ("quota", "plan", "auth", "rate", "outage", "misdirected", "dead_letter_limit", "manual")
AUDIT_STATES: Final = ("accepted", "delivered", "dead_lettered", "waiting", "unaccounted")

NO_STOREFRONT: Final = ""
"""The storefront of a caller without a valid key."""
UNKNOWN_EVENT_TYPE: Final = "invalid"
"""The event type of whatever is not one of the API's."""

# From a kept-alive answer on loopback to the longest that a caller waits for an acknowledgement.
_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# From a group commit on a fast disk to a broker that is being replaced.
_APPEND_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# From the linger to a monthly quota that holds events back until the month ends.
_DELIVERY_SECONDS: Final = (
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
    1800,
    3600,
    21_600,
    86_400,
    604_800,
    2_678_400,
)
# From one page of a small report to an asynchronous export that the vendor queues.
_PULL_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
# The ingestion API takes at most 100 events a request; what is above 99 is a full one.
_BATCH_EVENTS: Final = (1, 2, 5, 10, 25, 50, 75, 99, 100)


class Metrics:
    """All metrics of one process, each an attribute named as in RECORDS §3 without the prefix `sluice_`.

    Labels stand in RECORDS' order. `registry` is this instance's own, with the process's metrics beside Sluice's;
    nothing is shared between instances. `.labels(…)` costs about a microsecond: a hot path counts in a local dict and
    adds once per request, and holds on to the children that it uses always.
    """

    def __init__(self) -> None:
        # Half of all series would be `_created` timestamps that nothing here reads.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library lacks it
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.build_info = Info("sluice_build", "Which version of Sluice this process runs.", registry=self.registry)
        self.build_info.info({"version": importlib.metadata.version("sluice-gateway")})
        self.config_last_reload_successful = self._gauge(
            "config_last_reload_successful",
            "1 while the configuration that was read last is the one in use, 0 after a faulty one.",
        )
        self._add_gateway()
        self._add_broker()
        self._add_forwarder()
        self._add_scheduler()

    def show(self, collector: Collector) -> None:
        """Show what `collector` collects from now on, and nothing that is counted here."""
        for mine in list(self.registry._collector_to_names):  # noqa: SLF001  # the library has no list of them
            self.registry.unregister(mine)
        self.registry.register(collector)

    def _add_gateway(self) -> None:
        self.gateway_events_total = self._counter(
            "gateway_events_total",
            "Events that storefronts sent, by what became of each.",
            ("storefront", "event_type", "result"),
        )
        self.gateway_request_seconds = self._histogram(
            "gateway_request_seconds", "From a request's head to its answer.", ("route", "status"), _REQUEST_SECONDS
        )
        self.gateway_in_flight_bytes = self._gauge(
            "gateway_in_flight_bytes", "Bodies of requests that are not answered yet."
        )
        self.spool_records = self._gauge("spool_records", "Records on local disk while Kafka is away.", ("storefront",))
        self.spool_bytes = self._gauge("spool_bytes", "Size of the spool on disk.")
        self.spool_oldest_timestamp_seconds = self._gauge(
            "spool_oldest_timestamp_seconds",
            "When the oldest spooled record was accepted, Unix time; 0 when the spool is empty.",
        )

    def _add_broker(self) -> None:
        self.broker_append_seconds = self._histogram(
            "broker_append_seconds", "From handing records over to their acknowledgement.", (), _APPEND_SECONDS
        )
        self.broker_disk_bytes = self._gauge("broker_disk_bytes", "Size of the embedded log on disk.")
        self.consumer_lag_records = self._gauge(
            "consumer_lag_records", "Records between a group's commits and the log's ends.", ("group", "storefront")
        )
        self.consumer_oldest_waiting_timestamp_seconds = self._gauge(
            "consumer_oldest_waiting_timestamp_seconds",
            "When the oldest record that waits for delivery was accepted, Unix time; 0 when none waits.",
            ("storefront",),
        )

    def _add_forwarder(self) -> None:
        self.forwarder_events_total = self._counter(
            "forwarder_events_total", "Events that are settled, by how.", ("storefront", "result")
        )
        self.forwarder_requests_total = self._counter(
            "forwarder_requests_total",
            "Requests to the ingestion API, by the class of their outcome.",
            ("storefront", "outcome"),
        )
        self.forwarder_batch_events = self._histogram(
            "forwarder_batch_events", "Events in a request to the ingestion API.", (), _BATCH_EVENTS
        )
        self.forwarder_in_flight = self._gauge(
            "forwarder_in_flight", "Requests to the ingestion API that wait for their answer.", ("storefront",)
        )
        self.forwarder_quota_errors_total = self._counter(
            "forwarder_quota_errors_total",
            "Answers that hold a storefront's events back, by kind.",
            ("storefront", "kind"),
        )
        self.forwarder_paused = self._gauge(
            "forwarder_paused", "1 while a storefront's forwarding rests for this reason.", ("storefront", "reason")
        )
        self.forwarder_delivery_seconds = self._histogram(
            "forwarder_delivery_seconds", "From an event's acceptance to its delivery.", (), _DELIVERY_SECONDS
        )
        self.forwarder_backlog_seconds = self._gauge(
            "forwarder_backlog_seconds",
            "How long what waits would take at the present rate of delivery.",
            ("storefront",),
        )
        self.forwarder_possible_duplicates_total = self._counter(
            "forwarder_possible_duplicates_total",
            "Events sent again after a request whose outcome is unknown.",
            ("storefront",),
        )
        self.forwarder_accepted_mismatch_total = self._counter(
            "forwarder_accepted_mismatch_total",
            "Answers whose `accepted` is not the number of events that `errors` does not name.",
            ("storefront",),
        )
        self.audit_records = self._gauge(
            "audit_records", "The balance of a storefront's records.", ("storefront", "state")
        )

    def _add_scheduler(self) -> None:
        self.export_pulls_total = self._counter(
            "export_pulls_total", "Pulls of an export, by how they ended.", ("source", "export", "result")
        )
        self.export_rows_total = self._counter(
            "export_rows_total", "Rows of an export, by what the pull changed about them.", ("export", "change")
        )
        self.export_quota_errors_total = self._counter(
            "export_quota_errors_total",
            "Answers of a vendor that hold pulls back, by kind.",
            ("source", "account", "kind"),
        )
        self.export_pull_seconds = self._histogram(
            "export_pull_seconds", "How long a pull took, waiting for the vendor included.", ("source",), _PULL_SECONDS
        )
        self.export_last_success_timestamp_seconds = self._gauge(
            "export_last_success_timestamp_seconds",
            "When an export was last pulled with success, Unix time.",
            ("export",),
        )

    def forget_gauges(self) -> None:
        """Forget what the labelled gauges say: of what is no longer configured nobody would ever say anything else. Counters stay."""
        for metric in vars(self).values():
            if isinstance(metric, Gauge) and metric._labelnames:  # noqa: SLF001  # the library does not tell
                metric.clear()

    def initialise_gateway(self, storefronts: Iterable[str], event_types: Iterable[str]) -> None:
        """Set what the gateway may count to 0, so that a rate is right from the first event on.

        The unknown event type and callers without a key are added here.
        """
        types = (*event_types, UNKNOWN_EVENT_TYPE)
        for storefront in (*storefronts, NO_STOREFRONT):
            for labels in itertools.product((storefront,), types, EVENT_RESULTS):
                self.gateway_events_total.labels(*labels)

    def initialise_forwarder(self, storefronts: Iterable[str], outcomes: Iterable[str] = ()) -> None:
        """Set what the forwarder may count to 0; `outcomes` are the classes of outcome that it tells apart."""
        classes = tuple(outcomes)
        for storefront in storefronts:
            for result in DELIVERY_RESULTS:
                self.forwarder_events_total.labels(storefront, result)
            for outcome in classes:
                self.forwarder_requests_total.labels(storefront, outcome)
            for kind in QUOTA_KINDS:
                self.forwarder_quota_errors_total.labels(storefront, kind)
            for reason in PAUSE_REASONS:
                # A forwarder that begins anew, for a changed configuration, may find gone what held it before.
                self.forwarder_paused.labels(storefront, reason).set(0)
            for metric in (
                self.forwarder_in_flight,
                self.forwarder_backlog_seconds,
                self.forwarder_possible_duplicates_total,
                self.forwarder_accepted_mismatch_total,
            ):
                metric.labels(storefront)

    def _counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(f"sluice_{name}", help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(f"sluice_{name}", help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, labels: Sequence[str], buckets: Sequence[float]) -> Histogram:
        return Histogram(f"sluice_{name}", help_text, labels, buckets=buckets, registry=self.registry)


def observe_all(histogram: Histogram, amounts: Sequence[float]) -> None:
    """Observe each of `amounts`: what `histogram.observe` would do, with one count for each bucket and not for each amount."""
    # The library has no call for many.
    bounds, buckets = histogram._upper_bounds, histogram._buckets  # noqa: SLF001
    counts: dict[int, int] = {}
    for amount in amounts:
        place = bisect_left(bounds, amount)
        counts[place] = counts.get(place, 0) + 1
    histogram._sum.inc(sum(amounts))  # noqa: SLF001
    for place, count in counts.items():
        buckets[place].inc(count)
