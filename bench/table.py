"""A benchmark's rows and how they are printed."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run; None where it is not known. `per_core`: events for a second of the process's own processor time; `cores`: how much
    of them it used.
    """

    events_per_second: float
    per_core: float | None = None
    cores: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    failures: float = 0


@dataclass(frozen=True, slots=True)
class Row:
    """Runs of one thing. `baseline`: what it is measured against, run by run; `peak_mb`: resident memory at its highest."""

    name: str
    runs: Sequence[Run]
    baselines: Sequence[tuple[str, Sequence[Run]]] = ()
    peak_mb: float | None = None


def show(console: Console, title: str, rows: Sequence[Row]) -> None:
    """Print the medians, and the median of the ratios of runs that stood side by side."""
    table = Table(title=title, title_justify="left")
    for heading in ("", "events/s", "events/s per core used", "cores used", "p50 ms", "p99 ms", "peak MB", "ratios"):
        table.add_column(heading, justify="left" if heading in ("", "ratios") else "right")
    for row in rows:
        ratios = [f"{_ratio(row.runs, runs):.2f} of {name}" for name, runs in row.baselines]
        failures = sum(run.failures for run in row.runs)
        table.add_row(
            row.name + (f"  [red]{failures:.0f} failures[/red]" if failures else ""),
            f"{median(run.events_per_second for run in row.runs):,.0f}",
            _median([run.per_core for run in row.runs], ",.0f"),
            _median([run.cores for run in row.runs], ".2f"),
            _median([run.p50_ms for run in row.runs], ".1f"),
            _median([run.p99_ms for run in row.runs], ".1f"),
            "" if row.peak_mb is None else f"{row.peak_mb:.0f}",
            "\n".join(ratios),
        )
    console.print(table)


def _ratio(runs: Sequence[Run], baseline: Sequence[Run]) -> float:
    pairs = zip(runs, baseline, strict=True)
    return median(mine.events_per_second / theirs.events_per_second for mine, theirs in pairs)


def _median(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return format(median(known), form) if known else ""
