"""Deleting what is old enough, in transactions of milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from broker.embedded.schema import OFFSET_BITS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_PIECE_CHUNKS: Final = 200
_PIECE_BYTES: Final = 8 * 1024 * 1024
_VACUUM_PAGES: Final = 256


class _Expiring(NamedTuple):
    """A partition and up to which offset its group let go of it (None: nobody holds it)."""

    id: int
    retention_ms: int
    released: int | None


def delete_expired(connection: sqlite3.Connection, now_ms: int) -> Iterator[int]:
    """Delete what is older than its topic's retention, except what the group that holds the topic has not committed past; yield after each
    transaction how many records went. Raises sqlite3.Error.
    """
    rows = connection.execute(
        "SELECT partitions.id, retention_ms, CASE WHEN held_by IS NULL THEN NULL ELSE coalesce(committed, 0) END "
        "FROM partitions JOIN topics ON topics.id = topic "
        "LEFT JOIN offsets ON consumer_group = held_by AND partition = partitions.id WHERE cleanup = 'delete'"
    ).fetchall()
    for row in rows:
        partition = _Expiring(*row)
        while deleted := _delete_piece(connection, partition, now_ms):
            yield deleted


def _delete_piece(connection: sqlite3.Connection, partition: _Expiring, now_ms: int) -> int:
    base = partition.id << OFFSET_BITS
    end, size, count = 0, 0, 0
    cursor = connection.execute(
        "SELECT position, span, timestamp, length(records) FROM chunks WHERE position BETWEEN ? AND ? ORDER BY position LIMIT ?",
        (base, base + (1 << OFFSET_BITS) - 1, _PIECE_CHUNKS),
    )
    for position, span, timestamp, length in cursor:
        behind = position - base + span
        held = partition.released is not None and behind > partition.released
        if timestamp >= now_ms - partition.retention_ms or held or size > _PIECE_BYTES:
            break
        end, size, count = behind, size + length, count + span
    cursor.close()
    if not count:
        return 0
    connection.execute("INSERT INTO expirations VALUES (?, ?)", (partition.id, end))
    return count


def shrink(connection: sqlite3.Connection) -> Iterator[int]:
    """Give free pages back to the disk while they are more than a quarter of the file; the log will need some again. Yield after each
    transaction how many are left. Raises sqlite3.Error.
    """
    while True:
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        if free <= max(_VACUUM_PAGES, pages // 4):
            return
        # Not `execute`: it would stop at every page, with the file locked.
        connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES});")
        yield free
