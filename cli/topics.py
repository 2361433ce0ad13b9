"""`sluice topics ensure`: creates or checks the topics."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click
import orjson

from cli import catalogue, log
from cli.options import json_option, with_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.interface import TopicDifference
    from runtime.settings import Settings
    from schemas.topics import TopicSpec

MISSING = "missing"


@click.group("topics")
def command() -> None:
    """Look after the topics."""


@command.command
@with_settings
@json_option
def ensure(settings: Settings, *, as_json: bool) -> None:
    """Create the topics that are missing and check the others.

    What exists is never changed: every difference to the configuration is told, and the exit code is then 1. With
    broker.create_topics = false nothing is created either.
    """
    specs = catalogue.topics(settings)
    found = asyncio.run(_ensure(settings, specs))
    for line in _lines(specs, *found, as_json=as_json):
        click.echo(line)
    sys.exit(1 if found[1] else 0)


async def _ensure(settings: Settings, specs: list[TopicSpec]) -> tuple[list[TopicDifference], list[TopicDifference]]:
    """Return the differences before and after."""
    async with log.opened(settings) as broker:
        before = await broker.ensure_topics(specs, create=False)
        if not settings.broker.create_topics:
            return before, before
        return before, await broker.ensure_topics(specs)


def _lines(
    specs: list[TopicSpec], before: list[TopicDifference], after: list[TopicDifference], *, as_json: bool
) -> Iterator[str | bytes]:
    for spec in specs:
        was_missing = any(each.topic == spec.name and each.found == MISSING for each in before)
        differences = [each for each in after if each.topic == spec.name]
        state = _state(differences, was_missing=was_missing)
        if as_json:
            yield orjson.dumps(
                {
                    "topic": spec.name,
                    "state": state,
                    "differences": [
                        {"setting": each.setting, "wanted": each.wanted, "found": each.found} for each in differences
                    ],
                }
            )
            continue
        yield f"{state:8}  {spec.name}"
        if state == "differs":
            yield from (
                f"          {each.setting} is {each.found}, configured is {each.wanted}" for each in differences
            )


def _state(differences: list[TopicDifference], *, was_missing: bool) -> str:
    if any(each.found == MISSING for each in differences):
        return MISSING
    if differences:
        return "differs"
    return "created" if was_missing else "as is"
