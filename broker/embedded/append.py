"""Putting chunks into the log, inside of a transaction that is open."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from broker.embedded.chunk import join

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from broker.embedded.chunk import Piece

_ROWS: Final = 32


def append_chunks(connection: sqlite3.Connection, pieces: Mapping[int, Iterable[Piece]], timestamp: int) -> None:
    """Append to partitions (by id) in the order of their pieces; offsets are allotted here. `timestamp`: milliseconds, UTC; where the
    partition has a later one already, that. Raises sqlite3.Error.
    """
    values: list[object] = []
    for partition, its_pieces in pieces.items():
        for count, records in join(its_pieces):
            values += (partition, count, timestamp, records)
    # Many rows in one statement: between two statements Python's interpreter lock may be gone for milliseconds.
    for first in range(0, len(values), 4 * _ROWS):
        some = values[first : first + 4 * _ROWS]
        connection.execute(_insert(len(some) // 4), some)


@cache
def _insert(rows: int) -> str:
    # Only question marks are put in.
    return "INSERT INTO appends (partition, span, timestamp, records) VALUES " + ", ".join(["(?, ?, ?, ?)"] * rows)  # noqa: S608  # as said
