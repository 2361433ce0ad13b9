"""Reading outside of any group."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from broker.embedded.fetch import Wanted
from broker.embedded.wake import EVERYTHING, mark
from broker.interface import LogRange, UnknownTopic

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncGenerator, Collection, Sequence

    from broker.embedded.catalogue import Topic
    from broker.embedded.chunk import StoredRecord
    from broker.embedded.fetch import Fetched
    from broker.embedded.readers import Readers
    from broker.embedded.wakeups import Wakeups

_RECORDS: Final = 1_000
_BYTES: Final = 1024 * 1024


def log_ranges(connection: sqlite3.Connection, topics: Collection[int]) -> dict[int, LogRange]:
    """Return what every partition (by id) of the topics (by ids) holds. Raises sqlite3.Error."""
    found = {}
    for topic in topics:
        rows = connection.execute("SELECT id, log_start, log_end FROM partitions WHERE topic = ?", (topic,))
        found.update({partition: LogRange(start, end) for partition, start, end in rows.fetchall()})
    return found


class LogReader:
    """Reads some partitions of one topic, in short pieces."""

    def __init__(self, readers: Readers, topic: Topic, partition: int | None) -> None:
        if partition is not None and not 0 <= partition < len(topic.ids):
            raise UnknownTopic(f"{topic.name} has {len(topic.ids)} partitions, none is number {partition}")
        self._readers = readers
        self._topic = topic
        numbers = range(len(topic.ids)) if partition is None else [partition]
        self._partitions = [(topic.ids[number], topic.partitions()[number]) for number in numbers]

    async def up_to_now(self, start: int) -> AsyncGenerator[StoredRecord]:
        """Yield what is there from the offset `start` on, partition after partition. Raises Unavailable."""
        ranges = await self._ranges()
        for partition, name in self._partitions:
            first, end = ranges[partition]
            offset = max(start, first)
            while offset < end:
                (fetched,) = await self._fetch([Wanted(partition, name, offset, _RECORDS, _BYTES)])
                for record in fetched.records:
                    if record.offset < end:
                        yield record
                # Nothing may be left of what was there, by retention or compaction.
                offset = fetched.next_offset if fetched.more else end

    async def for_ever(self, wakeups: Wakeups, start: int, *, from_beginning: bool) -> AsyncGenerator[StoredRecord]:
        """Yield what is there (if `from_beginning`) from the offset `start` on and whatever comes. Raises Unavailable."""
        await wakeups.open()
        marks = {mark(self._topic.file, partition): partition for partition, _ in self._partitions}
        due, stirred = set(marks.values()), asyncio.Event()

        def woken(told: Collection[int]) -> None:
            due.update(marks.values() if EVERYTHING in told else (marks[one] for one in told if one in marks))
            if due:
                stirred.set()

        wakeups.listen(woken)
        try:
            ranges = await self._ranges()
            offsets = {
                partition: min(max(start, log.start), log.end) if from_beginning else log.end
                for partition, log in ranges.items()
            }
            while True:
                stirred.clear()
                wanted = [
                    Wanted(partition, name, offsets[partition], _RECORDS, _BYTES)
                    for partition, name in self._partitions
                    if partition in due
                ]
                due.clear()
                for want, fetched in zip(wanted, await self._fetch(wanted), strict=True):
                    offsets[want.id] = fetched.next_offset
                    if fetched.more:
                        due.add(want.id)
                    for record in fetched.records:
                        yield record
                if not due:
                    await stirred.wait()
        finally:
            wakeups.unlisten(woken)

    async def _ranges(self) -> dict[int, LogRange]:
        return await self._readers.run(self._topic.file, partial(log_ranges, topics=[self._topic.id]))

    async def _fetch(self, wanted: Sequence[Wanted]) -> list[Fetched]:
        return await self._readers.fetch(self._topic.file, wanted)
