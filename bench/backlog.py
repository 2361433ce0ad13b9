"""The forwarder draining a backlog into a sink, beside a bare consumer loop that posts without tracking."""

from __future__ import annotations

import time
import urllib.request
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from bench.processes import Measured, answer, module, running
from bench.table import Row, Run
from schemas.topics import events_topic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bench.places import Place

DELIVERED = "sluice_forwarder_events_total"
LONGEST_SECONDS = 300
WARM_SHARE = 0.1
"""Of the backlog, delivered before the clock starts: start-up is not what is measured."""
TENTH = 0.1

_LOOK_SECONDS = 0.1


class _Sample(NamedTuple):
    """When, after how much processor time, so many were delivered."""

    moment: float
    used: float
    delivered: float


def measure_backlog(
    places: Sequence[Place], directory: Path, *, events: int, rounds: int, latency_ms: int = 0
) -> list[Row]:
    """Fill and drain each place `rounds` times into an API that answers after `latency_ms`; returns a row for each, with its baseline
    where there is one.
    """
    rows: list[Row] = []
    suffix = f", answers after {latency_ms} ms" if latency_ms else ""
    for place in places:
        mine: list[Run] = []
        bare: list[Run] = []
        peak = 0.0
        with _sink(place, directory, latency_ms):
            for _ in range(rounds):
                answer(module("bench.fill", place.config, place.storefront, events))
                if place.bootstrap_servers is not None:
                    bare.append(Run(_bare(place, place.bootstrap_servers, events)))
                with running(place.role("forwarder"), _log(place), ready=place.ready_url) as forwarder:
                    samples = _drain(place, forwarder, events)
                    mine.append(_between(samples, events * WARM_SHARE, events))
                    peak = max(peak, forwarder.peak_mb())
        if bare:
            rows.append(Row(f"bare consumer loop{suffix}", bare))
        baselines = [("bare consumer loop", bare)] if bare else []
        rows.append(Row(f"forwarder on {place.name}{suffix}", mine, baselines, peak))
    return rows


def measure_long_backlog(place: Place, directory: Path, *, events: int) -> list[Row]:
    """Fill and drain one large backlog; returns rows for its first tenth (but for the start), its last, and the bare loop's over all."""
    with _sink(place, directory, 0):
        answer(module("bench.fill", place.config, place.storefront, events))
        bare = [] if place.bootstrap_servers is None else [Run(_bare(place, place.bootstrap_servers, events))]
        with running(place.role("forwarder"), _log(place), ready=place.ready_url) as forwarder:
            start = forwarder.peak_mb()
            samples = _drain(place, forwarder, events)
            peak = forwarder.peak_mb()
    first = _between(samples, events * TENTH / 10, events * TENTH)
    last = _between(samples, events * (1 - TENTH), events)
    name = f"forwarder on {place.name}, {events:,} events"
    baselines = [("bare consumer loop", bare)] if bare else []
    return [
        *(Row("bare consumer loop", [each]) for each in bare),
        Row(f"{name}: first tenth", [first], baselines, start),
        Row(f"{name}: last tenth", [last], [*baselines, ("first tenth", [first])], peak),
    ]


def _sink(place: Place, directory: Path, latency_ms: int) -> AbstractContextManager[Measured]:
    port = place.ports["sink"]
    return running(module("bench.sink", port, latency_ms), directory / "sink.log", ready=port)


def _log(place: Place) -> Path:
    return place.directory / "forwarder.log"


def _bare(place: Place, servers: str, events: int) -> float:
    topic = events_topic(place.storefront)
    return answer(module("bench.bare_forwarder", servers, topic, events, place.ports["sink"]))["events_per_second"]


def _drain(place: Place, forwarder: Measured, events: int) -> list[_Sample]:
    samples: list[_Sample] = []
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        samples.append(_Sample(time.monotonic(), forwarder.cpu_seconds(), _delivered(place)))
        if samples[-1].delivered >= events:
            return samples
        time.sleep(_LOOK_SECONDS)
    raise RuntimeError(f"the forwarder on {place.name} did not drain {events} events in {LONGEST_SECONDS} s")


def _between(samples: Sequence[_Sample], first: float, last: float) -> Run:
    """Return the run between the moments when `first` and `last` events had been delivered."""
    begin = next(each for each in samples if each.delivered >= first)
    end = next(each for each in samples if each.delivered >= last)
    counted = end.delivered - begin.delivered
    seconds, used = end.moment - begin.moment, end.used - begin.used
    return Run(counted / seconds, counted / used, used / seconds)


def _delivered(place: Place) -> float:
    with urllib.request.urlopen(place.metrics_url, timeout=10) as response:  # noqa: S310 - loopback
        text = response.read().decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == DELIVERED and sample.labels.get("result") == "delivered"
    )
