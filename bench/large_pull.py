"""Answers of a gigabyte, on the embedded log: `python -m bench.large_pull`.

What a scheduler takes for the first pull of one, for the same again, for one whose numbers are all restated, and to take over from another
what it published. Takes minutes, so `make bench` leaves it out.
"""

from __future__ import annotations

import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from bench.places import Place
from bench.processes import carried_out, module, running
from bench.watched import Seen, watching
from scheduler.report import RESULTS
from schemas.profitmetrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.watched import Watch

EXPORT = "large"
PULLS = ("first", "unchanged", "restated")
LONGEST_SECONDS = 1800
WIDTH = 150
"""Columns of the table where there is no terminal to ask."""
_ACCOUNT = """
[[accounts]]
name = "large"
source = "{source}"
url = "http://127.0.0.1:{port}/{encoding}/{size}"
api_key = "tolk_sec_bench"
"""
_REPORTS = """
[[exports]]
name = "large"
account = "large"
dataset = "reports"
every = "1d"
lookback = "30d"
compare = "7d"
split = ["sites"]
[exports.query]
sites = {sites}
currency = "EUR"
resolution = "HOUR"
metrics = {metrics}
"""
_SERIES = """
[[exports]]
name = "large"
account = "large"
dataset = "revenue-timeseries"
every = "1d"
lookback = "{days}d"
"""
_SITES, _HOURS, _DAYS = 20, 30 * 24, 364
_VALUE_BYTES = 125
"""Of a metric with what it compares."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One pull, or a takeover (without an answer and rows)."""

    name: str
    seconds: float
    answer_mb: float
    rows: float
    seen: Seen


@dataclass(frozen=True, slots=True)
class Answers:
    """What the vendor is asked for: which source's, `gzip` or `plain`, and of how many megabytes, decompressed."""

    source: str
    encoding: str
    megabytes: int


def measure_pulls(place: Place, answers: Answers, pulls: Sequence[str] = PULLS) -> list[Phase]:
    """Run a scheduler at `place`, which has no accounts yet, through these pulls, the first of which is the first ever."""
    port = place.ports["sink"]
    place.config.write_text(place.config.read_text() + _config(answers, port))
    with running(module("bench.large_vendor", port), place.directory / "vendor.log", ready=port):
        return _pulls(place, port, pulls)


def measure_takeover(place: Place) -> Phase:
    """Run a scheduler at `place` until it knows what was published there."""
    began = time.monotonic()
    with running(place.role("scheduler"), _log(place), ready=place.ready_url) as scheduler:
        return Phase("takeover", time.monotonic() - began, 0, 0, Seen(memory_mb=scheduler.peak_mb()))


def _pulls(place: Place, port: int, pulls: Sequence[str]) -> list[Phase]:
    phases: list[Phase] = []
    with (
        running(
            place.role("scheduler"), _log(place), ready=f"http://127.0.0.1:{place.ports['admin']}/livez"
        ) as scheduler,
        watching(scheduler.pid, place.ports["admin"]) as watch,
    ):
        for number, name in enumerate(pulls):
            if name == "restated":
                _get(f"http://127.0.0.1:{port}/restate")
            if number:
                carried_out(module("bench.say_run", place.config, EXPORT, str(number)))
            phases.append(_pull(place, watch, port, name, number))
    return phases


def _pull(place: Place, watch: Watch, port: int, name: str, before: int) -> Phase:
    began = time.monotonic()
    rows = _count(place, "sluice_export_rows_total")
    watch.fresh()
    while _count(place, "sluice_export_pulls_total", result="published") <= before:
        # What was published meanwhile is no failure: the other results are asked for by themselves.
        failed = {result for result in RESULTS[1:] if _count(place, "sluice_export_pulls_total", result=result)}
        if failed or time.monotonic() - began > LONGEST_SECONDS:
            raise RuntimeError(f"the {name} pull did not come through: {failed}")
        time.sleep(0.2)
    seconds, seen = time.monotonic() - began, watch.fresh()
    sent = int(_get(f"http://127.0.0.1:{port}/sent")) / 1e6
    return Phase(name, seconds, sent, _count(place, "sluice_export_rows_total") - rows, seen)


def _log(place: Place) -> Path:
    return place.directory / "scheduler.log"


def _count(place: Place, name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(_get(place.metrics_url))
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - loopback
        text: str = response.read().decode()
    return text


def _config(answers: Answers, port: int) -> str:
    kilobytes = answers.megabytes * 1000
    if answers.source == "profitmetrics":
        numbers = [name for name in METRICS if METRICS[name].kind == "number"]
        metrics = numbers[: max(1, kilobytes * 1000 // (_SITES * _HOURS * _VALUE_BYTES))]
        sites = [10_000_000 + number for number in range(_SITES)]
        export, buckets = _REPORTS.format(sites=sites, metrics=metrics), _SITES * _HOURS
    else:
        export, buckets = _SERIES.format(days=_DAYS), _DAYS
    account = _ACCOUNT.format(source=answers.source, port=port, encoding=answers.encoding, size=kilobytes // buckets)
    return account + export


def show_phases(console: Console, answers: Answers, idle_mb: float, phases: Sequence[Phase]) -> None:
    """Print them."""
    title = f"{answers.source}, {answers.encoding}; idle, a scheduler takes {idle_mb:.0f} MB"
    table = Table(title=title, title_justify="left")
    for heading in (
        "",
        "seconds",
        "answer MB",
        "MB/s",
        "rows",
        "peak MB",
        "staged MB",
        "longest wait ms",
    ):
        table.add_column(heading, justify="right" if heading else "left")
    for phase in phases:
        seen = phase.seen
        table.add_row(
            phase.name,
            f"{phase.seconds:.1f}",
            f"{phase.answer_mb:,.0f}" if phase.answer_mb else "",
            f"{phase.answer_mb / phase.seconds:.1f}" if phase.answer_mb else "",
            f"{phase.rows:,.0f}",
            f"{seen.memory_mb:.0f}",
            f"{seen.staged_mb:,.0f}",
            f"{seen.stall_seconds * 1000:.0f}",
        )
    console.print(table)


@click.command()
@click.option("--source", type=click.Choice(("profitmetrics", "tolinku")), default="profitmetrics", show_default=True)
@click.option("--encoding", type=click.Choice(("gzip", "plain")), default="gzip", show_default=True)
@click.option("--megabytes", default=1000, show_default=True, help="Of an answer, decompressed.")
@click.option(
    "--pulls", default=len(PULLS), show_default=True, help="How many: the first, an unchanged one, a restated one."
)
def main(source: str, encoding: str, megabytes: int, pulls: int) -> None:
    """Measure, and print a table."""
    cache = Path.cwd() / ".cache"
    cache.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=cache) as name:
        place = Place.embedded(Path(name) / "large", "large")
        answers = Answers(source, encoding, megabytes)
        idle_mb = measure_takeover(place).seen.memory_mb
        phases = [*measure_pulls(place, answers, PULLS[:pulls]), measure_takeover(place)]
    show_phases(Console(width=None if sys.stdout.isatty() else WIDTH), answers, idle_mb, phases)


if __name__ == "__main__":
    main()
