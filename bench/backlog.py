"""The forwarder draining a backlog into a sink that answers at once, beside a bare consumer loop that posts without tracking."""

from __future__ import annotations

import time
import urllib.request
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from bench.processes import Measured, answer, module, running
from bench.table import Row, Run
from schemas.topics import events_topic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.places import Place

DELIVERED = "sluice_forwarder_events_total"
LONGEST_SECONDS = 300
WARM_SHARE = 0.1
"""Of the backlog, delivered before the clock starts: start-up is not what is measured."""


def measure_backlog(places: Sequence[Place], directory: Path, *, events: int, rounds: int) -> list[Row]:
    """Fill and drain each place `rounds` times; returns a row for each, with its baseline where there is one."""
    rows: list[Row] = []
    for place in places:
        mine: list[Run] = []
        bare: list[Run] = []
        peak = 0.0
        with running(module("bench.sink", place.ports["sink"]), directory / "sink.log", ready=place.ports["sink"]):
            for _ in range(rounds):
                answer(module("bench.fill", place.config, place.storefront, events))
                if place.bootstrap_servers is not None:
                    found = answer(
                        module(
                            "bench.bare_forwarder",
                            place.bootstrap_servers,
                            events_topic(place.storefront),
                            events,
                            place.ports["sink"],
                        )
                    )
                    bare.append(Run(found["events_per_second"]))
                log = place.directory / "forwarder.log"
                with running(place.role("forwarder"), log, ready=place.ready_url) as forwarder:
                    mine.append(_drain(place, forwarder, events))
                    peak = max(peak, forwarder.peak_mb())
        baselines = [("bare consumer loop", bare)] if bare else []
        if bare:
            rows.append(Row("bare consumer loop", bare))
        rows.append(Row(f"forwarder on {place.name}", mine, baselines, peak))
    return rows


def _drain(place: Place, forwarder: Measured, events: int) -> Run:
    first: tuple[float, float, float] | None = None
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        now, used, delivered = time.monotonic(), forwarder.cpu_seconds(), _delivered(place)
        if first is None and delivered >= events * WARM_SHARE:
            first = (now, used, delivered)
        if first is not None and delivered >= events:
            counted = delivered - first[2]
            return Run(counted / (now - first[0]), counted / (used - first[1]))
        time.sleep(0.05)
    raise RuntimeError(f"the forwarder on {place.name} did not drain {events} events in {LONGEST_SECONDS} s")


def _delivered(place: Place) -> float:
    with urllib.request.urlopen(place.metrics_url, timeout=10) as response:  # noqa: S310 - loopback
        text = response.read().decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == DELIVERED and sample.labels.get("result") == "delivered"
    )
