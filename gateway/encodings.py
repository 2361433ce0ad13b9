"""Content encodings of request bodies: gzip, deflate, zstd and br, with a cap on what comes out.

aiohttp's own decompression stays off: it takes truncated gzip for whole and hands on what it does not know.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import brotli
import zstandard

from gateway.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LAYERS = 2
"""Encodings of one body: there are streams that come out as they went in, and each layer costs as much as a body."""
MAX_PARTS = 64
"""Members of a gzip body, frames of a zstd one. A million bytes of empty ones would hold up everybody for a second."""
GZIP_WINDOW = 31
ZLIB_WINDOW = 15
RAW_DEFLATE_WINDOW = -15
ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
ZSTD_SLICE = 256
"""Bytes fed to zstd at once: a block of 4 bytes may become 128 KiB, so a slice overshoots the cap by 8 MiB at worst."""


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the body as it was before `encoding` (the Content-Encoding header; several are undone last to first).

    Raises Refusal: UNSUPPORTED_MEDIA_TYPE for an unknown encoding, BAD_ENCODING for a malformed or truncated stream, one with
    something behind its end or more layers or parts than anybody needs, TOO_LARGE as soon as more than `limit` bytes come out.
    """
    names = [name.strip().lower() for name in encoding.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > MAX_LAYERS:
        raise Refusal("BAD_ENCODING", f"body is encoded more than {MAX_LAYERS} times")
    for name in reversed(names):
        decoder = _DECODERS.get(name)
        if decoder is None:
            raise Refusal(
                "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding must be one of gzip, deflate, zstd, br or identity"
            )
        try:
            body = decoder(body, limit)
        except (zlib.error, brotli.error, zstandard.ZstdError) as error:
            raise Refusal("BAD_ENCODING", f"body is not valid {name}") from error
    return body


def _whole(name: str, *, ended: bool, rest: bytes) -> None:
    if not ended:
        raise Refusal("BAD_ENCODING", f"body is truncated {name}")
    if rest:
        raise Refusal("BAD_ENCODING", f"body has data behind the end of its {name} stream")


def _within(size: int, limit: int) -> None:
    if size > limit:
        raise Refusal("TOO_LARGE", "body is too large when decompressed")


def _few(parts: list[bytes], name: str) -> None:
    if len(parts) >= MAX_PARTS:
        raise Refusal("BAD_ENCODING", f"body is {name} in more than {MAX_PARTS} parts")


def _gzip(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        _few(parts, "gzip")
        stream = zlib.decompressobj(GZIP_WINDOW)
        parts.append(stream.decompress(body, limit - size + 1))
        size += len(parts[-1])
        _within(size, limit)
        _whole("gzip", ended=stream.eof, rest=b"")
        body = stream.unused_data
        if not body:
            return b"".join(parts)


def _deflate(body: bytes, limit: int) -> bytes:
    try:
        return _inflate(body, ZLIB_WINDOW, limit)
    except zlib.error:
        return _inflate(body, RAW_DEFLATE_WINDOW, limit)


def _inflate(body: bytes, window: int, limit: int) -> bytes:
    stream = zlib.decompressobj(window)
    out = stream.decompress(body, limit + 1)
    _within(len(out), limit)
    _whole("deflate", ended=stream.eof, rest=stream.unused_data)
    return out


def _zstd(body: bytes, limit: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
    frames: list[bytes] = []
    size = 0
    while True:
        _few(frames, "zstd")
        frame, body = _zstd_frame(decompressor, body, limit - size)
        frames.append(frame)
        size += len(frame)
        if not body:
            return b"".join(frames)


def _zstd_frame(decompressor: zstandard.ZstdDecompressor, body: bytes, limit: int) -> tuple[bytes, bytes]:
    """Return what the first frame holds, and what stands behind it."""
    stream = decompressor.decompressobj()
    parts: list[bytes] = []
    size = 0
    position = 0
    while position < len(body) and not stream.eof:
        parts.append(stream.decompress(body[position : position + ZSTD_SLICE]))
        position += ZSTD_SLICE
        size += len(parts[-1])
        _within(size, limit)
    _whole("zstd", ended=stream.eof, rest=b"")
    return b"".join(parts), stream.unused_data + body[position:]


def _brotli(body: bytes, limit: int) -> bytes:
    stream = brotli.Decompressor()
    parts = [stream.process(body, output_buffer_limit=limit + 1)]
    size = len(parts[0])
    while size <= limit and not stream.can_accept_more_data() and not stream.is_finished():
        parts.append(stream.process(b"", output_buffer_limit=limit + 1 - size))
        size += len(parts[-1])
    _within(size, limit)
    _whole("br", ended=stream.is_finished(), rest=b"")
    return b"".join(parts)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
    "br": _brotli,
}
