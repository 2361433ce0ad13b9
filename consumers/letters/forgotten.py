"""Which dead letters the deletion of a user settled: of them a replay must not be sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from broker.interface import BrokerError
from consumers.letters.letter import Settled, Settlement, read_letter
from runtime.errors import one_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Record
    from consumers.letters.letter import Place
    from runtime.clock import Clock

RETRY_SECONDS: Final = 1.0


class Forgotten:
    """What was settled so in one partition of the dead-letter topic. `read` yields it from an offset up to its present end.

    The partition is read once, and after that only what came since, once for all who wait for it: whoever replays a million
    writes all the time. Kept is an offset for each such letter.
    """

    def __init__(
        self,
        partition: int,
        read: Callable[[int, int], AsyncIterator[Record]],
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._partition = partition
        self._read = read
        self._clock = clock
        self._log = log
        self._offsets: set[int] = set()
        self._read_to = 0
        self._turn = asyncio.Lock()
        self._asked = 0
        self._answered = 0

    def add(self, places: Iterable[Place]) -> None:
        """Take note of what was just written: an open transaction may hide it for a while."""
        self._offsets.update(place.offset for place in places)

    async def among(self, places: Iterable[Place]) -> set[Place]:
        """Return those of the places in this partition that were settled so before the call. Waits for the log as long as it takes."""
        self._asked += 1
        mine = self._asked
        async with self._turn:
            if self._answered < mine:
                # Nobody who asks from here on is answered by what is read now: something may have come since.
                everybody = self._asked
                await self._catch_up()
                self._answered = everybody
        return {place for place in places if place.offset in self._offsets}

    async def _catch_up(self) -> None:
        while True:
            try:
                async for record in self._read(self._partition, self._read_to):
                    self._take(record)
            except BrokerError as error:
                self._log.warning("dead letters cannot be read", partition=self._partition, error=one_line(error))
                await self._clock.sleep(RETRY_SECONDS)
            else:
                return

    def _take(self, record: Record) -> None:
        self._read_to = record.offset + 1
        # What settles has no value, and nearly all letters have one.
        if not record.value:
            read = read_letter(record)
            if isinstance(read, Settlement) and read.outcome == Settled.USER_DELETED:
                self._offsets.add(read.settles.offset)
