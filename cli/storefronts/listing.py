"""`sluice storefronts list`: how the forwarding of each storefront does, from what is durable."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click
from rich.table import Table

from broker.interface import UnknownTopic
from broker.spool.left import left
from cli import log, screen
from cli.options import json_option, with_settings
from cli.printable import printable, printable_json
from cli.storefronts.resting import WORDS, ask
from consumers.audit import balance
from consumers.brake import DEAD_LETTER_LIMIT, MANUAL
from consumers.letters.index import LetterIndex
from consumers.letters.search import search
from consumers.steering import read_commands
from runtime.clock import SystemClock
from schemas.commands import StorefrontCommand

if TYPE_CHECKING:
    from broker.interface import Broker
    from runtime.settings import Settings

_COLUMNS: Final = ("state", "since", "waiting", "dead letters")
_NUMBERS: Final = 2


@dataclass(frozen=True, slots=True)
class View:
    """A storefront as it stands. `dead_letters`: those that nobody settled; `waiting`: None before its topic exists.

    `told_by`: the forwarder that told whether it rests by itself, and for what (`rests_for`); None when none did.
    """

    name: str
    command: StorefrontCommand
    waiting: int | None
    dead_letters: int
    told_by: str | None = None
    rests_for: str | None = None

    @property
    def paused_for(self) -> str | None:
        """Why its forwarding is held back by will; None when it is not."""
        if self.command.state == "paused":
            return MANUAL
        return None if self.command.parked is None else DEAD_LETTER_LIMIT

    @property
    def reason(self) -> str | None:
        """Why its forwarding does not go on, as the metrics name it; None when it does as far as anybody knows."""
        return self.paused_for or self.rests_for

    @property
    def state(self) -> str:
        """The state in words."""
        if self.paused_for == MANUAL:
            why = f": {self.command.why}" if self.command.why else ""
            return (f"paused by {self.command.by}" if self.command.by else "paused") + why
        if self.paused_for is not None:
            return "parked: too many dead letters"
        return "active" if self.rests_for is None else f"rests: {WORDS[self.rests_for]}"

    @property
    def since(self) -> str | None:
        """Since when, RFC 3339; None when nobody knows or it is active."""
        if self.paused_for == MANUAL:
            return self.command.since or None
        return None if self.command.parked is None else self.command.parked.since

    @property
    def why(self) -> str | None:
        """What a forwarder had to say when it parked it; None when none did."""
        parked = self.command.parked
        if parked is None:
            return None
        return (
            f"{parked.dead_letters:,} dead letters among the last {parked.events:,} events, {parked.run:,} in a row; "
            f'the last one: "{parked.error}"'
        )


@click.command
@with_settings
@json_option
def command(settings: Settings, *, as_json: bool) -> None:
    """Print how the forwarding of each storefront does.

    Whether somebody holds it back, how many events wait, how many dead letters are not settled: as it stands in the log now,
    also while no forwarder runs. Whether it rests by itself (quota, an outage) is asked of the forwarder on this machine;
    others tell it in their log and metrics.
    """
    found, silent = asyncio.run(views(settings))
    if as_json:
        for each in found:
            click.echo(printable_json(data(each)))
        return
    console = screen.console()
    console.print(table(found))
    for each in found:
        if each.why is not None:
            console.print(printable(f"{each.name}: {each.why}"), style="red", soft_wrap=True)
            console.print(f"{each.name}: `sluice storefronts resume {each.name}` goes on", style="red", soft_wrap=True)

    if silent:
        where = " or ".join(silent)
        click.echo(f"no forwarder answers at {where}: whether one rests by itself is in its log and metrics", err=True)


async def views(settings: Settings) -> tuple[list[View], list[str]]:
    """Return the configured storefronts as they stand, in their order; and where a forwarder was looked for, if none was found.

    Raises BrokerError, OperatorError.
    """
    async with log.opened(settings) as broker:
        commands = await read_commands(broker)
        waiting = await _waiting(broker, settings)
        letters = await _dead_letters(broker)
    told, silent = await ask(settings)
    found = []
    for each in settings.storefronts:
        knows = told is not None and each.name in told.reasons
        found.append(
            View(
                each.name,
                commands.get(each.name, StorefrontCommand()),
                waiting.get(each.name),
                letters.get(each.name, 0),
                told.url if told is not None and knows else None,
                told.reasons[each.name] if told is not None and knows else None,
            )
        )
    return found, [] if told is not None else silent


async def _dead_letters(broker: Broker) -> dict[str, int]:
    """Return how many dead letters of each storefront nobody settled."""
    with LetterIndex() as index:
        await search(broker, index, lambda _: True)
        index.queue_listed(None, everything=False)
        return {name: letters for name, letters, _ in index.queued()}


async def _waiting(broker: Broker, settings: Settings) -> dict[str, int]:
    spooled: dict[str, int] = {}
    if settings.broker.kind != "embedded":
        with log.errors_only() as logger:
            spooled = dict(await left(settings.gateway.spool_path, logger, SystemClock()))
    found: dict[str, int] = {}
    for each in settings.storefronts:
        try:
            (one,) = await balance(broker, settings.model_copy(update={"storefronts": [each]}), spooled)
        except UnknownTopic:
            continue  # nobody has sent anything yet
        found[each.name] = one.waiting
    return found


def table(found: list[View]) -> Table:
    """Return the storefronts as a table for people."""
    drawn = Table(box=None, header_style="dim", pad_edge=False)
    drawn.add_column("storefront", no_wrap=True)
    for index, name in enumerate(_COLUMNS):
        drawn.add_column(name, no_wrap=True, justify="left" if index < _NUMBERS else "right")
    for each in found:
        cells = (
            each.name,
            each.state,
            each.since or "-",
            "-" if each.waiting is None else f"{each.waiting:,}",
            f"{each.dead_letters:,}",
        )
        style = None if each.reason is None else {DEAD_LETTER_LIMIT: "bold red"}.get(each.reason, "yellow")
        drawn.add_row(*map(printable, cells), style=style)
    return drawn


def data(view: View) -> dict[str, object]:
    """Return a storefront as JSON data."""
    parked = view.command.parked
    return {
        "storefront": view.name,
        "state": "paused" if view.paused_for is not None else "resting" if view.rests_for is not None else "active",
        "reason": view.reason,
        "by": view.command.by or None,
        "why": view.command.why or None,
        "since": view.since,
        "error": None if parked is None else parked.error,
        "waiting": view.waiting,
        "dead_letters": view.dead_letters,
        "told_by": view.told_by,
    }
