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
from consumers.dead_letters import ADDED
from consumers.letter_search import fetch, search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers.letter_search import Found
    from consumers.letters import Letter, Place
    from runtime.settings import Settings


@click.command
@click.argument("place", type=PlaceParameter())
@with_settings
@json_option
def command(settings: Settings, place: Place, *, as_json: bool) -> None:
    """Print all of the dead letter at PLACE.

    The API's words, where it stood, its headers and the event; with --json the event is as it was sent, digit for digit.
    """
    letter, found = asyncio.run(_read(settings, place))
    if as_json:
        facts = wording.as_json(letter, found.settled.get(letter.origin))
        click.echo(orjson.dumps({**facts, "record": orjson.Fragment(record_text.as_json(letter.record))}))
        return
    console = screen.console()
    for label, text in lines(letter, found):
        console.print(f"{label:14}{printable(text)}", soft_wrap=True)
    console.print()
    for line in value_of(letter).split("\n"):
        console.print(printable(line), soft_wrap=True)


def lines(letter: Letter, found: Found) -> Iterator[tuple[str, str]]:
    """Yield what there is to tell beside the event, each with its label; a label that repeats is empty."""
    settled = found.settled.get(letter.origin)
    yield "place", letter.place.full
    yield "dead-lettered", wording.moment(letter.record.timestamp)
    yield "outcome", "not settled" if settled is None else f"{settled.outcome} {wording.moment(settled.at)}"
    yield "storefront", letter.storefront
    yield "reason", letter.reason
    yield "error", letter.error
    yield "attempts", str(letter.attempts)
    yield "original", str(letter.origin)
    others = [str(place) for place in found.copies[letter.origin] if place != letter.place]
    if others:
        yield "also at", ", ".join(others)
    yield "key", wording.key_of(letter) or "-"
    label = "headers"
    for name, value in letter.record.headers:
        if name in ADDED:
            continue
        yield label, f"{name}: {value.decode('utf-8', 'backslashreplace')}"
        label = ""


def value_of(letter: Letter) -> str:
    """Return the event, indented if it is JSON."""
    value = letter.record.value or b""
    try:
        return orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return value.decode("utf-8", "backslashreplace")


async def _read(settings: Settings, place: Place) -> tuple[Letter, Found]:
    async with log.opened(settings) as broker:
        found = await search(broker, lambda letter: letter.place == place, place.partition)
        problem = await missing(broker, found, [place])
        if problem is not None:
            raise problem
        (letter,) = await fetch(broker, [place], settled=True)
    return letter, found
