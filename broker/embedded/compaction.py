"""Keeping the last record of each key of a compacted topic, as Kafka does: where a record stands never changes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from broker.embedded.chunk import Chunk, StoredRecord, checksum, decode, encode_thinned
from broker.embedded.schema import OFFSET_BITS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

# How many keys one pass remembers; of each only a digest, for keys may be long. A partition with more takes several passes.
_KEYS: Final = 100_000
_DIGEST_BYTES: Final = 16
_CHUNKS: Final = 8  # at a time: there may be 128 kB in each, and as much again decoded
# Below this a pass would rewrite much to save little.
_DIRTY_RECORDS: Final = 1_000


class Compactable(NamedTuple):
    """A partition of a compacted topic: `clean_end` is the offset up to which it was compacted, at `cleaned_at` (ms)."""

    id: int
    topic: str
    number: int
    log_start: int
    log_end: int
    clean_end: int
    cleaned_at: int
    retention_ms: int


class _Chunk(NamedTuple):
    position: int
    span: int
    records: list[StoredRecord]


def compact(connection: sqlite3.Connection, now_ms: int, at_least_every_ms: int, keys: int = _KEYS) -> Iterator[int]:
    """Compact the partitions that are due: where as much came as was kept, and each now and then. Yield after each transaction how many
    records went. A tombstone goes `retention_ms` after it was written. Raises sqlite3.Error.
    """
    rows = connection.execute(
        "SELECT partitions.id, name, number, log_start, log_end, clean_end, cleaned_at, retention_ms "
        "FROM partitions JOIN topics ON topics.id = topic WHERE cleanup = 'compact' AND log_end > log_start"
    ).fetchall()
    for row in rows:
        partition = Compactable(*row)
        dirty = partition.log_end - partition.clean_end
        due = partition.cleaned_at + at_least_every_ms <= now_ms
        if due or dirty >= max(_DIRTY_RECORDS, (partition.clean_end - partition.log_start) // 2):
            yield from _compact_partition(connection, partition, now_ms, keys)


def _compact_partition(connection: sqlite3.Connection, partition: Compactable, now_ms: int, keys: int) -> Iterator[int]:
    clean_end = partition.clean_end
    while True:
        last, clean_end = _last_offsets(connection, partition, clean_end, keys)
        for chunks in _pieces(connection, partition, 0, clean_end):
            yield _thin(connection, partition, chunks, last, clean_end, now_ms)
        connection.execute(
            "UPDATE partitions SET clean_end = ?, cleaned_at = ?, log_start = coalesce("
            "(SELECT min(position) - (id << ?) FROM chunks WHERE position BETWEEN id << ? AND (id + 1 << ?) - 1), log_end) "
            "WHERE id = ?",
            (clean_end, now_ms, OFFSET_BITS, OFFSET_BITS, OFFSET_BITS, partition.id),
        )
        if clean_end >= partition.log_end:
            return


def _last_offsets(
    connection: sqlite3.Connection, partition: Compactable, first: int, keys: int
) -> tuple[dict[bytes, int], int]:
    """Return the last offset of each key from `first` on, and the offset up to which so many keys reach."""
    last: dict[bytes, int] = {}
    end = first
    for chunks in _pieces(connection, partition, first, partition.log_end):
        for chunk in chunks:
            last.update((_digest(record.key), record.offset) for record in chunk.records if record.key is not None)
            end = (chunk.position & (1 << OFFSET_BITS) - 1) + chunk.span
            if len(last) >= keys:
                return last, end
    return last, max(end, partition.log_end)


def _thin(
    connection: sqlite3.Connection,
    partition: Compactable,
    chunks: Sequence[_Chunk],
    last: dict[bytes, int],
    clean_end: int,
    now_ms: int,
) -> int:
    """Rewrite chunks without what a later record of its key replaced, each in a transaction of its own. Return how many records went."""

    def stays(record: StoredRecord) -> bool:
        if record.key is None or record.offset >= clean_end:
            return True
        if last.get(_digest(record.key), record.offset) > record.offset:
            return False
        return record.value is not None or record.timestamp >= now_ms - partition.retention_ms

    gone = 0
    for chunk in chunks:
        kept = [record for record in chunk.records if stays(record)]
        gone += len(chunk.records) - len(kept)
        if not kept:
            connection.execute("DELETE FROM chunks WHERE position = ?", (chunk.position,))
        elif len(kept) < len(chunk.records):
            records, offsets = encode_thinned(kept)
            connection.execute(
                "UPDATE chunks SET records = ?, offsets = ?, checksum = ? WHERE position = ?",
                (records, offsets, checksum(records, offsets), chunk.position),
            )
    return gone


def _pieces(connection: sqlite3.Connection, partition: Compactable, first: int, end: int) -> Iterator[list[_Chunk]]:
    """Yield the chunks that begin within the offsets, some at a time: no read stays open in between."""
    base = partition.id << OFFSET_BITS
    position = base + first
    while True:
        rows = connection.execute(
            "SELECT position, span, records, offsets, timestamp, checksum FROM chunks WHERE position >= ? AND position < ? "
            "ORDER BY position LIMIT ?",
            (position, base + end, _CHUNKS),
        ).fetchall()
        if not rows:
            return
        yield [
            _Chunk(at, span, decode(Chunk(*chunk), partition.topic, partition.number, at - base))
            for at, span, *chunk in rows
        ]
        position = rows[-1][0] + 1


def _digest(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=_DIGEST_BYTES).digest()
