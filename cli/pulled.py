"""What came of the exports that the demo had pulled: a line for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.sums import Sums


@dataclass(frozen=True, slots=True)
class Pulled:
    """One export. `rows`: how many its topic has now; `restated`: how often one of those was published anew since its first
    time; `age`: how many seconds ago the last pull succeeded, None when none did; `fault`: why it was not pulled when
    the demo wanted it, empty when it was, or is paused.
    """

    name: str
    source: str
    dataset: str
    rows: int
    restated: int
    age: float | None
    fault: str = ""
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Overview:
    """What the export `name` says of all that was ever delivered; `sums` None when it has no row."""

    name: str
    sums: Sums | None


def table(exports: Sequence[Pulled]) -> Table:
    """Return them as people read them."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    shown.add_column("exports", no_wrap=True)
    shown.add_column("from", no_wrap=True)
    for name in ("rows", "restated", "pulled"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column()
    for each in exports:
        shown.add_row(
            each.name,
            f"{each.source} {each.dataset}",
            f"{each.rows:,}",
            f"{each.restated:,}",
            "never" if each.age is None else f"{each.age:.1f} s ago",
            "paused" if each.paused else each.fault,
        )
    return shown
