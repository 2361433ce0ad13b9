"""Putting chunks into the log."""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Final

from broker.embedded.chunk import checksum, join
from broker.embedded.database import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

    from broker.embedded.chunk import Piece

# As many as fit in the variables of one statement, in any SQLite (32,766 since 3.32, 999 before).
_ROWS: Final = 200
# SQLite holds all of a statement's values, and then a copy: of a large transaction only so much at a time.
_BYTES: Final = 2 * 1024 * 1024
_COLUMNS: Final = 5
_RECORDS: Final = 3


def append_at_once(connection: sqlite3.Connection, pieces: Mapping[int, Iterable[Piece]], timestamp: int) -> None:
    """Append as `append_chunks` does, in a transaction of its own. Raises sqlite3.Error."""
    values: list[object] = [*chain.from_iterable(_rows(pieces, timestamp))]
    if len(values) <= _ROWS * _COLUMNS:
        # One statement is one transaction, and all of it happens within SQLite: between two statements a busy event loop may keep
        # Python's interpreter lock for a long time, while every other process waits for the file.
        _insert(connection, values)
    else:
        with transaction(connection):
            _insert(connection, values)


def append_chunks(connection: sqlite3.Connection, pieces: Mapping[int, Iterable[Piece]], timestamp: int) -> None:
    """Append to partitions (by id) in the order of their pieces; offsets are allotted here. `timestamp`: milliseconds, UTC; where the
    partition has a later one already, that. Call it in a transaction. Raises sqlite3.Error.
    """
    values: list[object] = []
    size = 0
    for row in _rows(pieces, timestamp):
        values += row
        size += len(row[_RECORDS])
        if size >= _BYTES:
            _insert(connection, values)
            values, size = [], 0
    _insert(connection, values)


def _rows(pieces: Mapping[int, Iterable[Piece]], timestamp: int) -> Iterator[tuple[int, int, int, bytes, int]]:
    for partition, its_pieces in pieces.items():
        for count, records in join(its_pieces):
            yield partition, count, timestamp, records, checksum(records)


def _insert(connection: sqlite3.Connection, values: list[object]) -> None:
    for first in range(0, len(values), _ROWS * _COLUMNS):
        some = values[first : first + _ROWS * _COLUMNS]
        connection.execute(_statement(len(some) // _COLUMNS), some)


@cache
def _statement(rows: int) -> str:
    places = ", ".join(["(?, ?, ?, ?, ?)"] * rows)
    return f"INSERT INTO appends (partition, span, timestamp, records, checksum) VALUES {places}"  # noqa: S608  # only question marks are put in
