"""Records as they lie in the log: chunks of msgpack, each an array of `[key, value, [[name, value], …]]`."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from broker.interface import RecordTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from broker.interface import Message

PIECE_BYTES: Final = 128 * 1024
"""A chunk grows up to here, or is what one record needs: what a reader takes up at a time."""
PIECE_RECORDS: Final = 500

_SHORT_ARRAY: Final = 16
_CHECKED_BYTES: Final = 5 * 1024


class StoredRecord(msgspec.Struct, array_like=True, gc=False):
    """A record as read: a `broker.interface.Record`. The log holds its first three fields; the reader fills in where it stands."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    topic: str = ""
    partition: int = -1
    offset: int = -1
    timestamp: int = -1


class Piece(NamedTuple):
    """Encoded messages that go into one chunk together: how many, and their msgpack without the array's head."""

    records: int
    body: memoryview


class Chunk(NamedTuple):
    """A chunk as it lies in the log: `records` and, where compaction left gaps, their `offsets`."""

    records: bytes
    offsets: bytes | None
    timestamp: int
    checksum: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[StoredRecord]).decode
_decode_offsets = msgspec.msgpack.Decoder(list[int]).decode


def encode_pieces(topic: str, messages: Sequence[Message], max_message_bytes: int) -> list[Piece]:
    """Return the messages in pieces of a chunk's size. Raises RecordTooLarge when key, value and headers of one are larger
    than allowed.
    """
    count = len(messages)
    if count > PIECE_RECORDS:
        return _encode_halves(topic, messages, max_message_bytes)
    encoded = _encode(messages)
    if len(encoded) > max_message_bytes:
        _check_sizes(topic, messages, max_message_bytes)
    if len(encoded) > PIECE_BYTES and count > 1:
        return _encode_halves(topic, messages, max_message_bytes)
    return [Piece(count, memoryview(encoded)[1 if count < _SHORT_ARRAY else 3 :])]


def _encode_halves(topic: str, messages: Sequence[Message], max_message_bytes: int) -> list[Piece]:
    half = len(messages) // 2
    first = encode_pieces(topic, messages[:half], max_message_bytes)
    return first + encode_pieces(topic, messages[half:], max_message_bytes)


def _check_sizes(topic: str, messages: Sequence[Message], limit: int) -> None:
    for key, value, headers in messages:
        size = len(key or b"") + len(value or b"") + sum(len(name.encode()) + len(text) for name, text in headers)
        if size > limit:
            raise RecordTooLarge(f"a record of {size} bytes is larger than {topic} takes ({limit})")


def join(pieces: Iterable[Piece]) -> Iterable[tuple[int, bytes]]:
    """Yield chunks of the pieces in their order: how many records, and the chunk."""
    count, size, bodies = 0, 0, list[memoryview]()
    for piece in pieces:
        if bodies and (size + len(piece.body) > PIECE_BYTES or count + piece.records > PIECE_RECORDS):
            yield count, _close(count, bodies)
            count, size, bodies = 0, 0, []
        count += piece.records
        size += len(piece.body)
        bodies.append(piece.body)
    if bodies:
        yield count, _close(count, bodies)


def _close(count: int, bodies: list[memoryview]) -> bytes:
    """Put the head of a msgpack array before its elements."""
    head = bytes((0x90 | count,)) if count < _SHORT_ARRAY else b"\xdc" + count.to_bytes(2, "big")
    return b"".join((head, *bodies))


class DamagedChunk(Exception):
    """A chunk is not what was written: the disk, or somebody, changed it."""


def checksum(records: bytes, offsets: bytes = b"") -> int:
    """Return what tells later whether a chunk is still what was written. SQLite vouches for its own pages, not for the disk's bytes."""
    value = zlib.crc32(offsets)
    # Of more at a time zlib lets go of the interpreter's lock, and beside a busy event loop waits milliseconds to have it again.
    view = memoryview(records)
    for start in range(0, len(records), _CHECKED_BYTES):
        value = zlib.crc32(view[start : start + _CHECKED_BYTES], value)
    return value


def decode(chunk: Chunk, topic: str, partition: int, first_offset: int) -> list[StoredRecord]:
    """Return the records of a chunk, each told where it stands. Raises DamagedChunk."""
    records, offsets, timestamp, written = chunk
    if checksum(records, offsets or b"") != written:
        raise DamagedChunk(f"{topic}/{partition}, offset {first_offset}: the checksum does not fit")
    decoded = _decode(records)
    places = range(first_offset, first_offset + len(decoded)) if offsets is None else _decode_offsets(offsets)
    for record, offset in zip(decoded, places, strict=True):
        record.topic = topic
        record.partition = partition
        record.offset = offset
        record.timestamp = timestamp
    return decoded


def encode_thinned(kept: Sequence[StoredRecord]) -> tuple[bytes, bytes]:
    """Return what compaction leaves of a chunk: its records and their offsets."""
    messages = [(record.key, record.value, record.headers) for record in kept]
    return _encode(messages), _encode([record.offset for record in kept])
