"""`sluice exports list`: every export in a line."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import click
from rich.table import Table

from cli import log, screen
from cli.exports import wording
from cli.exports.book import read_book
from cli.exports.steering import read_wishes
from cli.exports.view import views
from cli.exports.view_json import as_json as view_json
from cli.options import json_option, with_settings
from cli.printable import printable, printable_json
from runtime.clock import SystemClock
from scheduler.plan import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.exports.view import View
    from runtime.settings import Settings

_STYLES: Final = {
    "stopped": "bold red",
    "parked": "red",
    "held back": "yellow",
    "retrying": "yellow",
    "paused": "dim",
    "not configured": "dim",
}
_REASON: Final = 60


@click.command
@with_settings
@json_option
def command(settings: Settings, *, as_json: bool) -> None:
    """Print how each export does: when it was pulled, when it will be, how much stands, and what is wrong.

    `sluice exports status NAME` tells everything of one. Exports that are no longer configured, but of which rows stand,
    come last.
    """
    found = asyncio.run(read_views(settings))
    now = SystemClock().now()
    if as_json:
        for each in found:
            click.echo(printable_json(view_json(each, now)))
    elif found:
        screen.console().print(table(found, now))
    else:
        click.echo("no exports are configured; add them under [[exports]]")


async def read_views(settings: Settings) -> list[View]:
    """Return all exports as they stand. Raises BrokerError, OperatorError."""
    async with log.opened(settings) as broker:
        return views(settings, await read_book(broker), await read_wishes(broker))


def table(found: Sequence[View], now: float) -> Table:
    """Return the exports as a table for people. `now`: Unix seconds."""
    drawn = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("export", "dataset", "account", "schedule", "state"):
        drawn.add_column(name, no_wrap=True)
    for name in ("last success", "next due", "rows"):
        drawn.add_column(name, justify="right", no_wrap=True)
    drawn.add_column("covered", no_wrap=True)
    drawn.add_column("reason", overflow="ellipsis", no_wrap=True)
    for each in found:
        drawn.add_row(*map(printable, _cells(each, now)), style=_STYLES.get(each.condition))
    return drawn


def _cells(view: View, now: float) -> tuple[str, ...]:
    age, due = view.age(now), view.next_due(now)
    wanted = "" if view.wanted is None else f" → {view.wanted}"
    return (
        view.name,
        f"{view.source} {view.dataset}",
        view.account_name,
        "-" if view.export is None else wording.schedule(view.export),
        view.condition + wanted,
        "never" if age is None else f"{wording.duration(age)} ago",
        "-" if due is None else "now" if due <= now else f"in {wording.duration(due - now)}",
        f"{view.state.rows:,}",
        _covered(view),
        view.reason if len(view.reason) <= _REASON else view.reason[: _REASON - 1] + "…",
    )


def _covered(view: View) -> str:
    spans = view.covered
    if not spans:
        return "-"
    gaps = len(view.gaps)
    missing = f", {gaps} gap{'s' if gaps > 1 else ''}" if gaps else ""
    return wording.days(view, Window(spans[0].start, spans[-1].end)) + missing
