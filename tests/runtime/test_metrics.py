from __future__ import annotations

import re

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from runtime.metrics import EVENT_RESULTS, PAUSE_REASONS, Metrics

# RECORDS §3, name for name, with labels in their order.
CATALOGUE = {
    "gateway_events_total": ("storefront", "event_type", "result"),
    "gateway_request_seconds": ("route", "status"),
    "gateway_in_flight_bytes": (),
    "broker_append_seconds": (),
    "broker_disk_bytes": (),
    "spool_records": ("storefront",),
    "spool_bytes": (),
    "spool_oldest_timestamp_seconds": (),
    "consumer_lag_records": ("group", "storefront"),
    "consumer_oldest_waiting_timestamp_seconds": ("storefront",),
    "forwarder_events_total": ("storefront", "result"),
    "forwarder_requests_total": ("storefront", "outcome"),
    "forwarder_batch_events": (),
    "forwarder_in_flight": ("storefront",),
    "forwarder_quota_errors_total": ("storefront", "kind"),
    "forwarder_paused": ("storefront", "reason"),
    "forwarder_delivery_seconds": (),
    "forwarder_backlog_seconds": ("storefront",),
    "forwarder_possible_duplicates_total": ("storefront",),
    "forwarder_accepted_mismatch_total": ("storefront",),
    "audit_records": ("storefront", "state"),
    "export_pulls_total": ("source", "export", "result"),
    "export_rows_total": ("export", "change"),
    "export_quota_errors_total": ("source", "account", "kind"),
    "export_pull_seconds": ("source",),
    "export_last_success_timestamp_seconds": ("export",),
    "config_last_reload_successful": (),
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    page = generate_latest(metrics.registry).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_every_metric_of_the_catalogue_is_an_attribute_with_its_labels(metrics: Metrics) -> None:
    found = {
        name: metric._labelnames
        for name, metric in vars(metrics).items()
        if isinstance(metric, Counter | Gauge | Histogram)
    }

    assert found == CATALOGUE


def test_every_metric_is_exposed_under_its_name_and_nothing_else_of_ours_is(metrics: Metrics) -> None:
    for name, labels in CATALOGUE.items():
        metric = getattr(metrics, name)
        child = metric.labels(*labels) if labels else metric
        child.observe(1) if isinstance(metric, Histogram) else child.inc()
    names = {re.sub(r"_(bucket|count|sum)$", "", name) for name, _ in samples(metrics) if name.startswith("sluice_")}

    assert names == {f"sluice_{name}" for name in CATALOGUE} | {"sluice_build_info"}


def test_names_follow_the_conventions(metrics: Metrics) -> None:
    for family in metrics.registry.collect():
        if not family.name.startswith("sluice_"):
            continue
        exposed = f"{family.name}_total" if family.type == "counter" else family.name

        assert (family.type == "counter") == exposed.endswith("_total")
        assert not re.search(r"milli|micro|_ms|_minutes|_age|_kb", exposed)
        assert family.documentation.endswith(".")
    for name in CATALOGUE:
        if isinstance(getattr(metrics, name), Histogram):
            assert name.endswith(("_seconds", "_events"))


def test_buckets_rise(metrics: Metrics) -> None:
    for name in CATALOGUE:
        metric = getattr(metrics, name)
        if isinstance(metric, Histogram):
            bounds = metric._kwargs["buckets"]
            assert list(bounds) == sorted(set(bounds))
            assert len(bounds) <= 17


def test_the_process_is_measured_too(metrics: Metrics) -> None:
    names = {name for name, _ in samples(metrics)}

    assert {"process_resident_memory_bytes", "process_open_fds", "python_info", "python_gc_collections_total"} <= names
    assert not [name for name in names if name.endswith("_created")]


def test_the_version_is_told(metrics: Metrics) -> None:
    assert samples(metrics)["sluice_build_info", frozenset({("version", "0.1.0")})] == 1


def test_two_instances_share_nothing(metrics: Metrics) -> None:
    other = Metrics()
    metrics.spool_bytes.set(7)

    assert isinstance(other.registry, CollectorRegistry)
    assert samples(other)["sluice_spool_bytes", frozenset()] == 0


def test_what_the_gateway_may_count_stands_at_nought(metrics: Metrics) -> None:
    metrics.initialise_gateway(["acme", "other"], ["purchase", "refund"])
    found = {
        labels: value for (name, labels), value in samples(metrics).items() if name == "sluice_gateway_events_total"
    }

    assert set(found.values()) == {0}
    assert len(found) == 3 * 3 * len(EVENT_RESULTS)
    assert frozenset({("storefront", ""), ("event_type", "invalid"), ("result", "refused")}) in found


def test_what_the_forwarder_may_count_stands_at_nought(metrics: Metrics) -> None:
    metrics.initialise_forwarder(["acme"], ["delivered", "server_error"])
    found = samples(metrics)
    acme = ("storefront", "acme")

    for name, labels in {
        "forwarder_events_total": {acme, ("result", "dead_lettered")},
        "forwarder_requests_total": {acme, ("outcome", "server_error")},
        "forwarder_quota_errors_total": {acme, ("kind", "plan")},
        "forwarder_in_flight": {acme},
        "forwarder_possible_duplicates_total": {acme},
        "forwarder_accepted_mismatch_total": {acme},
    }.items():
        assert found[f"sluice_{name}", frozenset(labels)] == 0
    assert len([name for name, _ in found if name == "sluice_forwarder_paused"]) == len(PAUSE_REASONS)
