"""`sluice audit`: whether every accepted event is accounted for (G7)."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from typing import TYPE_CHECKING

import click
import orjson
from rich.table import Table

from broker.spool.left import left
from cli import log, screen
from cli.options import json_option, with_settings
from consumers.audit import balance
from runtime.clock import SystemClock

if TYPE_CHECKING:
    from consumers.audit import Balance
    from runtime.settings import Settings

COLUMNS = ("accepted", "delivered", "dead_lettered", "waiting", "unaccounted")


@click.command
@with_settings
@json_option
def command(settings: Settings, *, as_json: bool) -> None:
    """Print, for each storefront, what became of the events that were accepted.

    accepted = delivered + dead-lettered + waiting. Anything else is unaccounted for, and then the exit code is 1. It
    can be asked while everything runs. What waits in a gateway's spool is counted where the gateway runs.
    """
    balances = asyncio.run(_balances(settings))
    if as_json:
        for each in balances:
            click.echo(orjson.dumps(dataclasses.asdict(each)))
    else:
        screen.console().print(table(balances))
    sys.exit(0 if all(each.balanced for each in balances) else 1)


def table(balances: list[Balance]) -> Table:
    """Return the balances as a table for people."""
    drawn = Table(box=None, header_style="dim", pad_edge=False)
    drawn.add_column("storefront", no_wrap=True)
    for name in COLUMNS:
        drawn.add_column(name.replace("_", "-"), justify="right", no_wrap=True)
    for each in balances:
        figures = [f"{getattr(each, name):,}" for name in COLUMNS]
        drawn.add_row(each.storefront, *figures, style=None if each.balanced else "bold red")
    return drawn


async def _balances(settings: Settings) -> list[Balance]:
    async with log.opened(settings) as broker:
        if settings.broker.kind == "embedded":
            return await balance(broker, settings)
        with log.errors_only() as logger:
            spooled = await left(settings.gateway.spool_path, logger, SystemClock())
        return await balance(broker, settings, spooled)
