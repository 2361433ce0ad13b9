"""The body of an answer: in memory while it is small, on disk beyond, so that gigabytes fit."""

from __future__ import annotations

import asyncio
import io
import os
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import WriteableBuffer

MEMORY_BYTES: Final = 1024 * 1024
"""What is kept in memory; a larger body is wholly on disk."""
_PIECE_BYTES: Final = 256 * 1024


class Body:
    """Life: made → `write` … → `finish` → `open` … → `close`. `directory`: where a large one is put; None: the system's own place.

    The file has no name: nothing of it outlives the process, however that ends.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.size = 0
        self._directory = directory
        self._buffer = bytearray()
        self._file: IO[bytes] | None = None
        self._closed = False

    async def write(self, piece: bytes) -> None:
        """Append. Waits for the disk at times, in a thread; raises OSError when that fails."""
        self.size += len(piece)
        self._buffer += piece
        if len(self._buffer) > (MEMORY_BYTES if self._file is None else _PIECE_BYTES):
            await self._spill()

    async def finish(self) -> None:
        """Take note that this is all. Waits and raises as `write`."""
        if self._file is not None:
            await self._spill()

    def open(self) -> BinaryIO:
        """Return a file at the body's start, for one thread; may be called often, and what it gave outlives `close`."""
        if self._closed:
            raise ValueError("the body is closed")
        if self._file is None:
            return io.BytesIO(self._buffer)
        return io.BufferedReader(_Reader(os.dup(self._file.fileno())), _PIECE_BYTES)

    def close(self) -> None:
        """Free memory and disk. Idempotent."""
        self._closed = True
        self._buffer.clear()
        if self._file is not None:
            self._file.close()

    async def _spill(self) -> None:
        piece, self._buffer = self._buffer, bytearray()
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, piece))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # Whoever cancelled closes the file next, and its number may then be another's.
            await asyncio.wait([writing])
            if not writing.cancelled():
                writing.exception()  # nobody else will ask for it
            raise

    def _write(self, piece: bytearray) -> None:
        if self._file is None:
            self._file = TemporaryFile(dir=self._directory)  # noqa: SIM115  # `close` closes it
        self._file.write(piece)
        self._file.flush()


class _Reader(io.RawIOBase):
    """A file of which others read too: it keeps a place of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        count = os.preadv(self._descriptor, [buffer], self._at)
        self._at += count
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
