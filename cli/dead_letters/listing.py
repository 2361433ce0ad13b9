"""`sluice dead-letters list`: each in a line."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import click
from rich.table import Table

from cli import log, screen
from cli.dead_letters import wording
from cli.dead_letters.filters import with_filters
from cli.dead_letters.places import known
from cli.options import json_option, with_settings
from cli.printable import printable, printable_json
from consumers.letters.index import LetterIndex
from consumers.letters.search import fetch, search

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from broker.interface import Broker
    from cli.dead_letters.filters import Filters
    from consumers.letters.letter import Letter, Settlement
    from runtime.settings import Settings

MOST: Final = 100
"""So many of them fill a terminal well enough; as JSON all are printed."""
_PART_BYTES: Final = 16 * 1024 * 1024
_COLUMNS: Final = ("place", "dead-lettered", "storefront", "type", "reason", "key")


@click.command
@with_filters("newest")
@click.option("--all", "everything", is_flag=True, help="Print those that are settled, too, and what became of them.")
@with_settings
@json_option
def command(settings: Settings, filters: Filters, *, everything: bool, as_json: bool) -> None:
    """Print the dead letters that are not settled, the newest last.

    PLACE, in the first column, is what the other commands take. With --max, or on more than 100 of them without --json,
    only the newest are printed.
    """
    most = filters.most or (None if as_json else MOST)
    with LetterIndex() as index:
        asyncio.run(_print(settings, index, filters, most, everything=everything, as_json=as_json))


async def _print(
    settings: Settings, index: LetterIndex, filters: Filters, most: int | None, *, everything: bool, as_json: bool
) -> None:
    async with log.opened(settings) as broker:
        await search(broker, index, filters.admits)
        known(settings, index, filters.storefront)
        total = index.queue_listed(None, everything=everything)
        shown = total if most is None else index.queue_listed(most, everything=everything)
        if as_json:
            async for letter, settled in _letters(broker, index):
                click.echo(printable_json(wording.as_json(letter, settled)))
        else:
            rows = [each async for each in _letters(broker, index)]
            if rows:
                screen.console().print(table(rows, everything=everything))
            else:
                click.echo("no dead letters" if everything else "no unsettled dead letters")
    if total > shown and not as_json:
        click.echo(f"and {wording.counted(total - shown, 'older one')}; --max shows more", err=True)
    if index.foreign:
        click.echo(f"sluice: {wording.counted(index.foreign, 'record')} there that Sluice did not write", err=True)


async def _letters(broker: Broker, index: LetterIndex) -> AsyncIterator[tuple[Letter, Settlement | None]]:
    """Yield what stands in line, each with what became of it, but for what has expired since. Raises Unavailable."""
    after, part = index.part(0, _PART_BYTES)
    while part:
        letters = await fetch(broker, [entry.place for entry in part])
        for entry in part:
            if entry.place in letters:
                yield letters[entry.place], entry.settled
        after, part = index.part(after, _PART_BYTES)


def table(rows: Sequence[tuple[Letter, Settlement | None]], *, everything: bool) -> Table:
    """Return dead letters, each with what became of it, as a table for people."""
    drawn = Table(box=None, header_style="dim", pad_edge=False)
    for name in (*_COLUMNS, *(("outcome",) if everything else ())):
        drawn.add_column(name, no_wrap=True)
    drawn.add_column("error", overflow="ellipsis", no_wrap=True)
    for letter, settled in rows:
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
