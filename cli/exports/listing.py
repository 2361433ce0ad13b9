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

    from rich.console import Console

    from cli.exports.view import View
    from runtime.settings import Settings

_STYLES: Final = {
    "stopped": "bold red",
    "parked": "red",
    "held back": "yellow",
    "retrying": "yellow",
    "new": "dim",
    "paused": "dim",
    "not configured": "dim",
}


@click.command
@with_settings
@json_option
def command(settings: Settings, *, as_json: bool) -> None:
    """Print how each export does.

    When it was pulled, when it will be, how much stands, and what is wrong; `sluice exports status NAME` tells everything of
    one. Exports that are no longer configured, but of which rows stand,
    come last.
    """
    found = asyncio.run(read_views(settings))
    now = SystemClock().now()
    if as_json:
        for each in found:
            click.echo(printable_json(view_json(each, now)))
    elif found:
        show(screen.console(), found, now)
    else:
        click.echo("no exports are configured; add them under [[exports]]")


async def read_views(settings: Settings) -> list[View]:
    """Return all exports as they stand. Raises BrokerError, OperatorError."""
    async with log.opened(settings) as broker:
        return views(settings, await read_book(broker), await read_wishes(broker))


def show(console: Console, found: Sequence[View], now: float) -> None:
    """Print the exports as a table for people, and beneath it why any of them does not get on. `now`: Unix seconds."""
    drawn = Table(box=None, header_style="dim", pad_edge=False)
    drawn.add_column("export", no_wrap=True)
    drawn.add_column("dataset")
    drawn.add_column("state", no_wrap=True)
    for name in ("last success", "next due", "rows"):
        drawn.add_column(name, justify="right", no_wrap=True)
    drawn.add_column("covered")
    for each in found:
        drawn.add_row(*map(printable, _cells(each, now)), style=_STYLES.get(each.condition))
    console.print(drawn)
    for each in found:
        if each.reason:
            console.print(printable(f"{each.name}: {each.reason}"), style=_STYLES.get(each.condition), soft_wrap=True)


def _cells(view: View, now: float) -> tuple[str, ...]:
    age, due = view.age(now), view.next_due(now)
    wanted = "" if view.wanted is None else f" → {view.wanted}"
    return (
        view.name,
        f"{view.source} {view.dataset}",
        view.condition + wanted,
        "never" if age is None else f"{wording.duration(age)} ago",
        "-" if due is None else "now" if due <= now else f"in {wording.duration(due - now)}",
        f"{view.state.rows:,}",
        _covered(view),
    )


def _covered(view: View) -> str:
    spans = view.covered
    if not spans:
        return "-"
    parts = f", in {len(spans)} parts" if len(spans) > 1 else ""
    return wording.days(view, Window(spans[0].start, spans[-1].end)) + parts
