"""Gzip that is read as it arrives, and of which is known whether it came to its end."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE_BYTES: Final = 256 * 1024
_WINDOW: Final = 16 + zlib.MAX_WBITS  # with gzip's header and checksum


class Gunzip:
    """Decompresses one answer, of one or more gzip members."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_WINDOW)
        self._begun = False

    @property
    def whole(self) -> bool:
        """Whether nothing is missing. No bytes at all are whole, too: not every answer has a body."""
        return self._stream.eof or not self._begun

    def unpack(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` adds, in pieces of at most `PIECE_BYTES`, however much it grows. Raises zlib.error."""
        self._begun = self._begun or bool(data)
        more = False
        while data or more:
            if self._stream.eof:
                self._stream = zlib.decompressobj(_WINDOW)
            piece = self._stream.decompress(data, PIECE_BYTES)
            # A full piece may have left something inside even when all of `data` is taken.
            more = len(piece) == PIECE_BYTES and not self._stream.eof
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            if piece:
                yield piece
