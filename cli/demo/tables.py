"""The figures of a demo as people read them: counts, money, exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from cli.demo.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.demo.pulls import Pulled
    from cli.demo.verdict import Verdict


def counts(verdict: Verdict, title: str) -> Table:
    """Return what became of the events: of the day called `title`, and of all days."""
    outcome, balance = verdict.outcome, verdict.balance
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_row(title, f"{outcome.taken:,}", "events sent")
    table.add_row("", f"{outcome.accepted:,}", "accepted by the gateway")
    table.add_row("", f"{outcome.refused_total:,}", "refused by the gateway")
    for reason, refused in sorted(outcome.refused.items(), key=lambda entry: (-entry[1].count, entry[0])):
        table.add_row("", "", f"{refused.count:>5,}  {reason}", style="dim")
    table.add_row("all days", f"{balance.accepted:,}", "accepted")
    table.add_row("", f"{balance.delivered:,}", "delivered to the ingestion API")
    table.add_row("", f"{balance.dead_lettered:,}", "dead-lettered")
    table.add_row("", f"{balance.waiting:,}", "waiting")
    table.add_row("", f"{balance.unaccounted:,}", "unaccounted")
    return table


def money(verdict: Verdict) -> Table:
    """Return what the orders and refunds of all days come to, by everybody who counted them."""
    columns: dict[str, Sums | None] = {"in the files": verdict.files}
    more = {"other traffic": verdict.other, "elsewhere": verdict.elsewhere, "dead-lettered": verdict.dead}
    columns |= {name: column for name, column in more.items() if column != Sums()}
    columns["ingestion API"] = verdict.api
    if verdict.overview is not None:
        columns[verdict.overview.name] = verdict.overview.sums
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("all days", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for name in verdict.files.rows():
        table.add_row(name, *("unknown" if each is None else each.rows()[name] for each in columns.values()))
    return table


def exports(pulled: Sequence[Pulled]) -> Table:
    """Return what stands of each export, and how fresh it is."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("exports", no_wrap=True)
    table.add_column("from", no_wrap=True)
    for name in ("rows", "restated", "pulled"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in pulled:
        age = "never" if each.age is None else f"{each.age:.1f} s ago"
        table.add_row(
            each.name,
            f"{each.source} {each.dataset}",
            f"{each.rows:,}",
            f"{each.restated:,}",
            "paused" if each.paused else age,
        )
    return table
