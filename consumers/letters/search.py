"""Finding dead letters: which there are, which of them are settled, and their records again."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, cast

from broker.interface import UnknownTopic
from consumers.letters.letter import Letter, Place, Settlement, read_letter
from schemas.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection

    from broker.interface import Broker, Record
    from consumers.letters.index import LetterIndex

_AT_ONCE: Final = 2_000


async def search(
    broker: Broker, index: LetterIndex, wanted: Callable[[Letter], bool], partition: int | None = None
) -> None:
    """Put into `index` what stands in one partition or in all, and which of it `wanted` says yes to. Waits for all of it to be read.

    Raises Unavailable, and OperatorError when the index cannot grow.
    """
    await _take(broker, index, wanted, partition, 0)


async def catch_up(broker: Broker, index: LetterIndex) -> None:
    """Put into `index` what was settled since it was filled. Letters that came since are not looked for. Raises as `search`."""
    try:
        ranges = await broker.log_ranges([DEAD_LETTERS])
    except UnknownTopic:
        return
    for (_, partition), log in ranges.items():
        start = index.read_to.get(partition, 0)
        if log.end > start:
            await _take(broker, index, None, partition, start)


async def fetch(broker: Broker, places: Collection[Place]) -> dict[Place, Letter]:
    """Return the letters at these places, but for those that have expired. Holds their values in memory. Raises Unavailable.

    Of each partition all is read from the first place to the last.
    """
    letters: dict[Place, Letter] = {}
    offsets: dict[int, set[int]] = defaultdict(set)
    for place in places:
        offsets[place.partition].add(place.offset)
    for partition, wanted in offsets.items():
        last = max(wanted)
        async with aclosing(_records(broker, partition, min(wanted))) as records:
            async for record in records:
                if record.offset in wanted and isinstance(letter := read_letter(record), Letter):
                    letters[letter.place] = letter
                if record.offset >= last:
                    break
    return letters


async def _take(
    broker: Broker, index: LetterIndex, wanted: Callable[[Letter], bool] | None, partition: int | None, start: int
) -> None:
    read: list[tuple[Letter | Settlement | None, bool]] = []
    async with aclosing(_records(broker, partition, start)) as records:
        async for record in records:
            each = read_letter(record)
            index.read_to[record.partition] = record.offset + 1
            if wanted is not None:
                read.append((each, isinstance(each, Letter) and wanted(each)))
            elif isinstance(each, Settlement):
                read.append((each, False))
            if len(read) >= _AT_ONCE:
                await asyncio.to_thread(index.add, read)
                read = []
    await asyncio.to_thread(index.add, read)


async def _records(broker: Broker, partition: int | None, start: int) -> AsyncGenerator[Record]:
    records = cast("AsyncGenerator[Record]", broker.read(DEAD_LETTERS, partition=partition, start=start))
    try:
        async with aclosing(records):
            async for record in records:
                yield record
    except UnknownTopic:
        # No forwarder ever ran: there is nothing.
        return
