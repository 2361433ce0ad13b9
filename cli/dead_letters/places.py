"""Dead letters that are named by their places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from broker.interface import TopicPartition, UnknownTopic
from cli.exports.names import no_such
from consumers.letters.letter import Place
from runtime.errors import OperatorError
from schemas.topics import DAY_MS, DEAD_LETTERS, dead_letters_spec

if TYPE_CHECKING:
    from collections.abc import Collection

    from broker.interface import Broker
    from consumers.letters.index import LetterIndex
    from runtime.settings import Settings


class PlaceParameter(click.ParamType[Any]):
    """`PARTITION/OFFSET`, with the topic before it or without."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        """Return the place. Fails with how it is written."""
        if isinstance(value, Place):
            return value
        place = Place.read(value)
        if place is None:
            self.fail(f"{value!r} is no place of a dead letter: partition/offset, like 3/17", param, ctx)
        return place


def known(settings: Settings, index: LetterIndex, storefront: str | None) -> None:
    """Take note that a storefront is configured, or was once: there are letters of it. Raises Misused, which says what was meant."""
    names = [each.name for each in settings.storefronts]
    if storefront is not None and storefront not in names:
        there = index.storefronts()
        if storefront not in there:
            raise no_such("storefront", storefront, [*names, *sorted(there.difference(names))])


async def missing(broker: Broker, index: LetterIndex, places: Collection[Place]) -> OperatorError | None:
    """Return what is wrong with the first of the places at which `index` has no dead letter; None when each has one."""
    for place in places:
        if not index.has(place):
            return OperatorError(await _why(broker, place))
    return None


async def _why(broker: Broker, place: Place) -> str:
    try:
        ranges = await broker.log_ranges([DEAD_LETTERS])
    except UnknownTopic:
        return f"there is no dead letter {place}: there is no topic {DEAD_LETTERS}"
    log = ranges.get(TopicPartition(DEAD_LETTERS, place.partition))
    if log is None:
        return f"there is no dead letter {place}: {DEAD_LETTERS} has {len(ranges)} partitions, from 0 on"
    if place.offset < log.start:
        days = dead_letters_spec(1).retention_ms // DAY_MS
        return f"dead letter {place} has expired: they are kept for {days} days"
    if place.offset >= log.end:
        return f"there is no dead letter {place}: the partition ends before {log.end}"
    return f"{place} is no dead letter: what stands there settles one, or Sluice did not write it"
