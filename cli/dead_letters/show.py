"""`sluice dead-letters show PLACE`: one dead letter whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
import orjson

from cli import log, record_text, screen
from cli.dead_letters import wording
from cli.dead_letters.places import PlaceParameter, missing
from cli.options import json_option, with_settings
from cli.printable import printable
from consumers.letters.dead_letters import ADDED
from consumers.letters.index import LetterIndex
from consumers.letters.letter import REPLAYED_FROM, Settled
from consumers.letters.search import fetch, search
from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers.letters.index import Entry
    from consumers.letters.letter import Letter, Place
    from runtime.settings import Settings


@click.command
@click.argument("place", type=PlaceParameter())
@with_settings
@json_option
def command(settings: Settings, place: Place, *, as_json: bool) -> None:
    """Print all of the dead letter at PLACE.

    The API's words, where it stood, its headers and the event; with --json the event is as it was sent, digit for digit. Of a
    user who was deleted since, neither headers nor event.
    """
    letter, entry = asyncio.run(_read(settings, place))
    if as_json:
        facts = wording.as_json(letter, entry.settled)
        record = None if is_gone(entry) else orjson.Fragment(record_text.as_json(letter.record))
        click.echo(orjson.dumps({**facts, "record": record}))
        return
    console = screen.console()
    for label, text in lines(letter, entry):
        console.print(f"{label:14}{printable(text)}", soft_wrap=True)
    if is_gone(entry):
        return
    console.print()
    for line in value_of(letter).split("\n"):
        console.print(printable(line), soft_wrap=True)


def lines(letter: Letter, entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield what there is to tell beside the event, each with its label; a label that repeats is empty."""
    settled = entry.settled
    yield "place", letter.place.full
    yield "dead-lettered", wording.moment(letter.record.timestamp)
    yield "outcome", "not settled" if settled is None else f"{settled.outcome} {wording.moment(settled.at)}"
    yield "storefront", letter.storefront
    yield "reason", letter.reason
    yield "error", letter.error
    yield "attempts", str(letter.attempts)
    yield "original", str(letter.origin)
    replayed = wording.replayed_from(letter)
    if replayed is not None:
        yield "replayed from", f"{replayed}, and refused again"
    others = [str(place) for place in entry.copies if place != letter.place]
    if others:
        yield "also at", ", ".join(others)
    yield "key", wording.key_of(letter) or "-"
    if is_gone(entry):
        return
    label = "headers"
    for name, value in letter.record.headers:
        if name in ADDED or name == REPLAYED_FROM:
            continue
        yield label, f"{name}: {value.decode('utf-8', 'backslashreplace')}"
        label = ""


def is_gone(entry: Entry) -> bool:
    """Say whether the user was deleted: the record is there until it expires, and whoever reads it has to honour that."""
    return entry.settled is not None and entry.settled.outcome == Settled.USER_DELETED


def value_of(letter: Letter) -> str:
    """Return the event, indented if it is JSON."""
    value = letter.record.value or b""
    try:
        return orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return value.decode("utf-8", "backslashreplace")


async def _read(settings: Settings, place: Place) -> tuple[Letter, Entry]:
    with LetterIndex() as index:
        async with log.opened(settings) as broker:
            await search(broker, index, lambda letter: letter.place == place, place.partition)
            problem = await missing(broker, index, [place])
            if problem is not None:
                raise problem
            letters = await fetch(broker, [place])
        index.queue_listed(None, everything=True)
        _, (entry,) = index.part(0, 0)
    if place not in letters:
        raise OperatorError(f"dead letter {place} has expired just now")
    return letters[place], entry
