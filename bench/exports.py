"""How late a thousand exports of one scheduler begin: from when each was due, its jitter included, until its vendor was asked."""

from __future__ import annotations

import time
import urllib.request
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from rich.table import Table

from bench.processes import answer, module, running

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from bench.places import Place
    from bench.portfolio import Portfolio
    from bench.processes import Measured

CATCH_UP_SECONDS = 120
GRACE_SECONDS = 8.0
"""How long after the last due time requests are still waited for: none is as late as the next one's."""

EARLY_SECONDS = 0.005
"""A timer may wake whoever waits for it so much too early."""


@dataclass(frozen=True, slots=True)
class Lags:
    """Of all pulls that were due: seconds, in order; `missing` were not begun at all."""

    name: str
    seconds: Sequence[float]
    missing: int
    first_seconds: float | None = None
    caught_up_seconds: float | None = None
    cpu_ms: float | None = None
    peak_mb: float | None = None

    def at(self, share: float) -> float:
        """Return the quantile, in milliseconds."""
        return self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))] * 1000


def measure_exports(places: Sequence[Place], portfolio: Portfolio, directory: Path, *, rounds: int) -> list[Lags]:
    """Run the scheduler at each place, and the bare loop, for as many due times of each export as `rounds` after the first pulls."""
    port = places[0].ports["sink"]
    found = []
    with running(module("bench.vendor", port), directory / "vendor.log", ready=port):
        found.append(_bare(portfolio, port, directory, rounds))
        for place in places:
            place.config.write_text(place.config.read_text() + portfolio.config(port))
            began = time.time()
            with running(
                place.role("scheduler"), place.directory / "scheduler.log", ready=place.ready_url
            ) as scheduler:
                found.append(_scheduled(place, scheduler, portfolio, port, began, rounds))
    return found


def _bare(portfolio: Portfolio, port: int, directory: Path, rounds: int) -> Lags:
    start = time.time() + 2
    dues = portfolio.dues(start, start + rounds * portfolio.interval)
    path = directory / "dues.json"
    path.write_bytes(orjson.dumps(dues))
    answer(module("bench.bare_puller", port, path))
    return _lags("bare loop of timers", dues, _seen(port))


def _scheduled(place: Place, scheduler: Measured, portfolio: Portfolio, port: int, began: float, rounds: int) -> Lags:
    first, caught_up = _caught_up(portfolio, port)
    start = time.time() + 1
    end = start + rounds * portfolio.interval
    dues = portfolio.dues(start, end)
    time.sleep(start - time.time())
    used = scheduler.cpu_seconds()
    _seen(port)
    time.sleep(end - time.time())
    used = scheduler.cpu_seconds() - used
    time.sleep(GRACE_SECONDS)
    lags = _lags(f"scheduler on {place.name}", dues, _seen(port))
    pulls = sum(map(len, dues.values()))
    return Lags(
        lags.name,
        lags.seconds,
        lags.missing,
        first - began,
        caught_up - began,
        used / pulls * 1000,
        scheduler.peak_mb(),
    )


def _caught_up(portfolio: Portfolio, port: int) -> tuple[float, float]:
    """Wait until every export was asked for once; return when the first was and when the last."""
    waiting = set(portfolio.names)
    times: list[float] = []
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while waiting:
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"{len(waiting)} exports were not asked for in {CATCH_UP_SECONDS} s: {sorted(waiting)[:3]}"
            )
        for at, name in _seen(port):
            times.append(at)
            waiting.discard(name)
        time.sleep(0.2)
    return times[0], times[-1]


def _lags(name: str, dues: Mapping[str, Sequence[float]], seen: Iterable[tuple[float, str]]) -> Lags:
    asked: dict[str, list[float]] = {}
    for at, export in seen:
        asked.setdefault(export, []).append(at)
    lags: list[float] = []
    missing = 0
    for export, times in dues.items():
        requests = asked.get(export, [])
        for due, following in zip(times, [*times[1:], float("inf")], strict=True):
            index = bisect_left(requests, due - EARLY_SECONDS)
            if index == len(requests) or requests[index] >= following:
                missing += 1
            else:
                lags.append(max(0.0, requests[index] - due))
    return Lags(name, sorted(lags), missing)


def _seen(port: int) -> list[Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/seen", timeout=30) as response:
        found: list[Any] = orjson.loads(response.read())
    return found


def show_lags(console: Console, title: str, rows: Sequence[Lags]) -> None:
    """Print them; the first is what the others are measured against."""
    table = Table(title=title, title_justify="left")
    headings = (
        "",
        "pulls",
        "p50 ms",
        "p99 ms",
        "max ms",
        "p99 of bare",
        "first s",
        "all s",
        "CPU ms a pull",
        "peak MB",
    )
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left")
    for row in rows:
        table.add_row(
            row.name + (f"  [red]{row.missing} not begun[/red]" if row.missing else ""),
            f"{len(row.seconds):,}",
            *(f"{row.at(share):,.1f}" for share in (0.5, 0.99, 1)),
            "" if row is rows[0] else f"{row.at(0.99) / rows[0].at(0.99):,.1f}",
            *("" if value is None else f"{value:.1f}" for value in (row.first_seconds, row.caught_up_seconds)),
            *("" if value is None else f"{value:.1f}" for value in (row.cpu_ms, row.peak_mb)),
        )
    console.print(table)
