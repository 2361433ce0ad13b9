"""`sluice dead-letters list`: each in a line."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

import click
from rich.table import Table

from cli import log, screen
from cli.dead_letters import wording
from cli.dead_letters.filters import with_filters
from cli.options import json_option, with_settings
from cli.printable import printable, printable_json
from consumers.letter_search import fetch, search

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cli.dead_letters.filters import Filters
    from consumers.letters import Letter, Origin, Settlement
    from runtime.settings import Settings

MOST: Final = 100
"""So many of them fill a terminal well enough; as JSON all are printed."""
_COLUMNS: Final = ("place", "dead-lettered", "storefront", "type", "reason", "key")


class Listed(NamedTuple):
    """The letters to print, the oldest first; what became of those that are settled; how many more there are, all of them older."""

    letters: Sequence[Letter]
    settled: Mapping[Origin, Settlement]
    more: int
    foreign: int


@click.command
@with_filters
@with_settings
@click.option("--all", "everything", is_flag=True, help="Print those that are settled, too, and what became of them.")
@json_option
def command(settings: Settings, filters: Filters, *, everything: bool, as_json: bool) -> None:
    """Print the dead letters that are not settled, the newest last.

    PLACE, in the first column, is what the other commands take. With --max, or on more than 100 of them without --json,
    only the newest are printed.
    """
    found = asyncio.run(
        listed(settings, filters, everything=everything, most=filters.most or (None if as_json else MOST))
    )
    if as_json:
        for letter in found.letters:
            click.echo(printable_json(wording.as_json(letter, found.settled.get(letter.origin))))
    elif found.letters:
        screen.console().print(table(found, everything=everything))
    else:
        click.echo("no dead letters" if everything else "no unsettled dead letters")
    if found.more and not as_json:
        click.echo(f"and {wording.counted(found.more, 'older one')}; --max shows more", err=True)
    if found.foreign:
        click.echo(f"sluice: {wording.counted(found.foreign, 'record')} there that Sluice did not write", err=True)


async def listed(settings: Settings, filters: Filters, *, everything: bool, most: int | None) -> Listed:
    """Return the newest `most` dead letters that `filters` admit (None: all). Raises Unavailable."""
    async with log.opened(settings) as broker:
        found = await search(broker, filters.admits)
        entries = sorted(found.wanted.values() if everything else found.unsettled(), key=lambda entry: entry.at)
        shown = entries if most is None else entries[-most:]
        letters = await fetch(broker, [entry.place for entry in shown], settled=True)
    letters.sort(key=lambda letter: letter.record.timestamp)
    return Listed(letters, found.settled, len(entries) - len(shown), found.foreign)


def table(found: Listed, *, everything: bool) -> Table:
    """Return dead letters as a table for people."""
    drawn = Table(box=None, header_style="dim", pad_edge=False)
    for name in (*_COLUMNS, *(("outcome",) if everything else ())):
        drawn.add_column(name, no_wrap=True)
    drawn.add_column("error", overflow="ellipsis", no_wrap=True)
    for letter in found.letters:
        settled = found.settled.get(letter.origin)
        cells = [
            str(letter.place),
            wording.moment(letter.record.timestamp),
            letter.storefront,
            letter.kind,
            letter.reason,
            wording.key_of(letter) or "-",
            *(("-" if settled is None else settled.outcome,) if everything else ()),
            letter.error,
        ]
        drawn.add_row(*map(printable, cells), style=None if settled is None else "dim")
    return drawn
