"""Several workers' metrics as one page."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from gateway.merged import MergedMetrics
from runtime.metrics import Metrics

PAGE = """\
# HELP sluice_gateway_events_total Events.
# TYPE sluice_gateway_events_total counter
sluice_gateway_events_total{{result="accepted",storefront="acme"}} {events}
# HELP sluice_gateway_request_seconds Seconds.
# TYPE sluice_gateway_request_seconds histogram
sluice_gateway_request_seconds_bucket{{le="0.1"}} {events}
sluice_gateway_request_seconds_bucket{{le="+Inf"}} {events}
sluice_gateway_request_seconds_count {events}
sluice_gateway_request_seconds_sum 0.5
# HELP sluice_gateway_in_flight_bytes Bytes.
# TYPE sluice_gateway_in_flight_bytes gauge
sluice_gateway_in_flight_bytes {bytes}
# HELP sluice_spool_bytes Bytes.
# TYPE sluice_spool_bytes gauge
sluice_spool_bytes {spool}
# HELP sluice_spool_oldest_timestamp_seconds When.
# TYPE sluice_spool_oldest_timestamp_seconds gauge
sluice_spool_oldest_timestamp_seconds {oldest}
"""


def page(events: int, in_flight: int = 0, spool: int = 0, oldest: int = 0) -> str:
    return PAGE.format(events=float(events), bytes=float(in_flight), spool=float(spool), oldest=float(oldest))


def shown(merged: MergedMetrics) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(merged)
    return generate_latest(registry).decode()


def test_nobody_has_said_anything_yet() -> None:
    assert shown(MergedMetrics()) == ""


def test_what_is_counted_is_added_up_and_a_gauge_as_it_means() -> None:
    merged = MergedMetrics()
    merged.said(0, page(3, in_flight=10, spool=4096, oldest=0))
    merged.said(1, page(4, in_flight=5, spool=4097, oldest=1_800_000_000))
    assert shown(merged) == PAGE.replace("sum 0.5", "sum 1.0").format(
        events=7.0, bytes=15.0, spool=4097.0, oldest="1.8e+09"
    )


def test_what_a_worker_counted_that_has_ended_stays_counted() -> None:
    merged = MergedMetrics()
    merged.said(0, page(3, in_flight=10))
    merged.said(1, page(4, in_flight=5))
    merged.ended(1)
    merged.ended(1)
    merged.said(1, page(1, in_flight=1))
    told = shown(merged)
    assert 'sluice_gateway_events_total{result="accepted",storefront="acme"} 8.0' in told
    assert "sluice_gateway_request_seconds_count 8.0" in told
    assert "sluice_gateway_in_flight_bytes 11.0" in told


def test_the_parents_own_word_counts_beside_the_workers() -> None:
    metrics = Metrics()
    merged = MergedMetrics(metrics.config_last_reload_successful)
    metrics.config_last_reload_successful.set(1)
    assert "sluice_config_last_reload_successful 1.0" in shown(merged)
    merged.said(0, "# TYPE sluice_config_last_reload_successful gauge\nsluice_config_last_reload_successful 0.0\n")
    assert "sluice_config_last_reload_successful 0.0" in shown(merged), "one of them refused it"
    merged.said(0, "# TYPE sluice_config_last_reload_successful gauge\nsluice_config_last_reload_successful 1.0\n")
    assert "sluice_config_last_reload_successful 1.0" in shown(merged)
    metrics.config_last_reload_successful.set(0)
    assert "sluice_config_last_reload_successful 0.0" in shown(merged)
