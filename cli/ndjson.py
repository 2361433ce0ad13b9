"""NDJSON as it comes in: from a file or a pipe, a piece at a time, whatever its length."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PIECE_BYTES = 256 * 1024
LONGEST_LINE = 4 * 1024 * 1024


class Line(NamedTuple):
    """A line that is JSON: its number (the first is 1), its bytes, the key that its order is kept by (None: none)."""

    number: int
    text: bytes
    key: bytes | None


class BadLine(NamedTuple):
    """A line that cannot be sent, because it would break the request that it stood in, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Piece:
    """What was read in one go: its complete lines, without the empty ones."""

    lines: list[Line | BadLine]
    size: int


async def pieces(descriptor: int) -> AsyncIterator[Piece]:
    """Yield what the open file holds until its end. Waits, without blocking the loop, while a pipe has nothing yet.

    A line longer than 4 MiB is a BadLine and is never held in memory.
    """
    splitter = _Splitter()
    async for data in _read(descriptor):
        yield Piece(list(splitter.feed(data)), len(data))
    yield Piece(list(splitter.finish()), 0)


async def _read(descriptor: int) -> AsyncIterator[bytes]:
    while True:
        try:
            await _readable(descriptor)
        except PermissionError:  # a regular file: it cannot be waited for, and need not be
            data = await asyncio.to_thread(os.read, descriptor, PIECE_BYTES)
        else:
            data = os.read(descriptor, PIECE_BYTES)
        if not data:
            return
        yield data


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        # Not watched while it is read: a callback that was due before the read would tell of data that is gone.
        loop.remove_reader(descriptor)


class _Splitter:
    """Cuts pieces into lines."""

    def __init__(self) -> None:
        self._number = 0
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[Line | BadLine]:
        *complete, self._rest = (self._rest + data).split(b"\n")
        for text in complete:
            yield from self._line(text)
        if len(self._rest) > LONGEST_LINE:
            self._rest = b""
            self._skipping = True

    def finish(self) -> Iterator[Line | BadLine]:
        rest, self._rest = self._rest, b""
        if rest or self._skipping:
            yield from self._line(rest)

    def _line(self, text: bytes) -> Iterator[Line | BadLine]:
        self._number += 1
        if self._skipping or len(text) > LONGEST_LINE:
            self._skipping = False
            yield BadLine(self._number, "the line is longer than 4 MiB")
            return
        text = text.strip()
        if not text:
            return
        try:
            event = orjson.loads(text)
        except orjson.JSONDecodeError:
            yield BadLine(self._number, "the line is not JSON")
            return
        yield Line(self._number, text, _key(event))


def _key(event: object) -> bytes | None:
    """Return what the gateway will choose as the record's key (RECORDS §1)."""
    if not isinstance(event, dict):
        return None
    for name in ("user_id", "cart_id", "transaction_id"):
        value = event.get(name)
        if isinstance(value, str) and value:
            return value.encode()
    return None
