"""Reading chunks out of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from broker.embedded.chunk import Chunk, DamagedChunk, decode
from broker.embedded.schema import OFFSET_BITS
from broker.interface import LogRange

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from broker.embedded.chunk import StoredRecord
    from broker.interface import TopicPartition

    Damaged = Callable[[TopicPartition, LogRange], None]

# The chunk that an offset stands in is the last one that does not begin behind it.
_SELECT = """
SELECT position, span, records, offsets, timestamp, checksum FROM chunks
WHERE position BETWEEN
  coalesce((SELECT max(position) FROM chunks WHERE position BETWEEN :first AND :from), :from)
  AND :last
ORDER BY position
"""


class Wanted(NamedTuple):
    """What to read of a partition (by its id): from `offset` on, until it is `records` or `size` bytes, or a little more: chunks are
    taken whole.
    """

    id: int
    partition: TopicPartition
    offset: int
    records: int
    size: int


class Fetched(NamedTuple):
    """What was read: records, how many bytes they are in the log, where to go on, and whether that may be more right now."""

    records: list[StoredRecord]
    size: int
    next_offset: int
    more: bool


def fetch(connection: sqlite3.Connection, wanted: Sequence[Wanted], damaged: Damaged | None = None) -> list[Fetched]:
    """Return what was asked for, in the order asked. Blocks for milliseconds. A damaged chunk is told to `damaged` and left out; without
    that it raises DamagedChunk. Raises sqlite3.Error.
    """
    return [_fetch(connection, one, damaged) for one in wanted]


def _fetch(connection: sqlite3.Connection, wanted: Wanted, damaged: Damaged | None) -> Fetched:
    base = wanted.id << OFFSET_BITS
    bounds = {"first": base, "from": base + wanted.offset, "last": base + (1 << OFFSET_BITS) - 1}
    found: list[StoredRecord] = []
    size, next_offset = 0, wanted.offset
    cursor = connection.execute(_SELECT, bounds)
    try:
        for position, span, *row in cursor:
            first, chunk = position - base, Chunk(*row)
            try:
                decoded = decode(chunk, *wanted.partition, first)
            except DamagedChunk:
                if damaged is None:
                    raise
                damaged(wanted.partition, LogRange(first, first + span))
                decoded = []
            if first < wanted.offset:
                decoded = [record for record in decoded if record.offset >= wanted.offset]
            found += decoded
            size += len(chunk.records)
            next_offset = max(next_offset, first + span)
            if len(found) >= wanted.records or size >= wanted.size:
                return Fetched(found, size, next_offset, more=True)
    finally:
        # A cursor that is not at its end would keep the read open, and the log from being checkpointed.
        cursor.close()
    return Fetched(found, size, next_offset, more=False)
