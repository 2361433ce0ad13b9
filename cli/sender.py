"""Sends NDJSON through a gateway: many batches at a time, and yet events of one key in their order."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

from cli.client import ENVELOPE_BYTES, BodyRefusedError
from cli.ndjson import BadLine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from cli.client import Client
    from cli.ndjson import Line, Piece
    from cli.outcome import Outcome

LINGER = 0.1
"""Seconds that a batch waits for more events when the input pauses."""
BATCHES_AHEAD = 2


class Sender:
    """Distributes events over lanes by their key; a lane has one batch on its way, so a key's events stay in order.

    `outcome` is counted on as answers come, and `answered` is called after each.
    """

    def __init__(
        self,
        client: Client,
        outcome: Outcome,
        *,
        batch_size: int,
        batch_bytes: int,
        concurrency: int,
        answered: Callable[[], None],
    ) -> None:
        self._outcome = outcome
        self._answered = answered
        self._turn = 0
        self._lanes = [_Lane(client, self._count, batch_size, batch_bytes) for _ in range(concurrency)]

    async def send(self, pieces: AsyncIterator[Piece]) -> None:
        """Send everything. Returns when every event has its answer.

        Raises an exception group with NoAnswerError or TurnedAwayError when a lane gives up; the others then stop where they are.
        """
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(lane.run())
            await self._distribute(pieces)
            for lane in self._lanes:
                await lane.finish()

    def first_unanswered(self) -> int | None:
        """Return the number of the first line without an answer; None when there is none."""
        return min((line.number for lane in self._lanes for line in lane.in_hand()), default=None)

    async def _distribute(self, pieces: AsyncIterator[Piece]) -> None:
        iterator = aiter(pieces)
        while True:
            coming = asyncio.ensure_future(anext(iterator, None))
            try:
                await asyncio.wait({coming}, timeout=LINGER)
                if not coming.done():
                    for lane in self._lanes:
                        await lane.flush()
                piece = await coming
            finally:
                coming.cancel()
            if piece is None:
                return
            for line in piece.lines:
                await self._take(line)

    async def _take(self, line: Line | BadLine) -> None:
        self._outcome.taken += 1
        if isinstance(line, BadLine):
            self._outcome.refuse(line.number, line.reason)
            return
        if line.key is None:
            self._turn += 1
            index = self._turn % len(self._lanes)
        else:
            index = zlib.crc32(line.key) % len(self._lanes)
        await self._lanes[index].add(line)

    def _count(self, batch: Sequence[Line], errors: dict[int, str]) -> None:
        self._outcome.answer(batch, errors)
        self._answered()


class _Lane:
    """Batches that are sent one after the other; whoever adds while two wait beside the one on its way, waits."""

    def __init__(
        self, client: Client, count: Callable[[Sequence[Line], dict[int, str]], None], batch_size: int, batch_bytes: int
    ) -> None:
        self._client = client
        self._count = count
        self._batch_size = batch_size
        self._room = batch_bytes - ENVELOPE_BYTES
        self._gathering: list[Line] = []
        self._bytes = 0
        self._queue: asyncio.Queue[list[Line] | None] = asyncio.Queue(BATCHES_AHEAD)
        self._unanswered: list[list[Line]] = []

    def in_hand(self) -> list[Line]:
        """Return the lines that were added and have no answer."""
        return [line for batch in (*self._unanswered, self._gathering) for line in batch]

    async def add(self, line: Line) -> None:
        size = len(line.text) + 1
        if self._gathering and (len(self._gathering) >= self._batch_size or self._bytes + size > self._room):
            await self.flush()
        self._gathering.append(line)
        self._bytes += size

    async def flush(self) -> None:
        """Hand over what is gathered."""
        if self._gathering:
            batch, self._gathering, self._bytes = self._gathering, [], 0
            self._unanswered.append(batch)
            await self._queue.put(batch)

    async def finish(self) -> None:
        """Hand over the rest and let `run` end after it."""
        await self.flush()
        await self._queue.put(None)

    async def run(self) -> None:
        """Send batches until `finish`. Raises what the client raises but BodyRefusedError."""
        while (batch := await self._queue.get()) is not None:
            await self._send(batch)
            del self._unanswered[0]

    async def _send(self, batch: list[Line]) -> None:
        # What is refused whole is sent again in halves: one event that spoils a body must not take others with it.
        try:
            errors = await self._client.send(batch)
        except BodyRefusedError as refused:
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._send(batch[:middle])
                await self._send(batch[middle:])
                return
            errors = {0: str(refused)}
        self._count(batch, errors)
