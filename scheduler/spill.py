"""Where staged rows lie once they are too many for memory: a file without a name, which goes with its connection."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from scheduler.errors import Retryable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemas.ledger import Span

_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -4000;
CREATE TABLE staged (bucket TEXT NOT NULL, dimensions TEXT NOT NULL, until TEXT NOT NULL, ask INTEGER NOT NULL, row BLOB NOT NULL);
"""
_KEYS: Final = "CREATE INDEX IF NOT EXISTS keys ON staged (bucket, dimensions)"


class Waiting(NamedTuple):
    """A row as it was put: JSON of what its ask's source told, and the number of that ask."""

    bucket: str
    dimensions: str
    until: str
    ask: int
    row: bytes


class Spill:
    """Rows by bucket and dimensions. Life: made → `add` … → read → `close`. Waits for the disk; one thread at a time.

    Rows come in no order that they could be kept in: they are put down as they come, and sorted by key when the first is asked for.
    Everything but `close` raises Retryable when the disk does not take or give them.
    """

    def __init__(self) -> None:
        # A database without a name lives in its cache and spills into a file that has no name either.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        with _disk():
            self._connection.executescript(_SCHEMA)
            self._connection.execute("BEGIN")

    def add(self, rows: Iterable[Waiting]) -> None:
        """Take rows; one with the bucket and dimensions of an earlier one replaces it."""
        with _disk():
            self._connection.executemany("INSERT INTO staged VALUES (?, ?, ?, ?, ?)", rows)

    def forget(self, ask: int, before: str, spans: Iterable[Span]) -> None:
        """Throw away the rows of an ask in buckets that begin before `before`, as `bucket_name` gives it, and lie in one of `spans`."""
        with _disk():
            self._connection.executemany(
                "DELETE FROM staged WHERE ask = ? AND bucket < ? AND bucket >= ? AND until <= ? AND until <> ''",
                [(ask, before, start, end) for start, end in spans],
            )

    def rows(self, low: str, high: str | None) -> Iterator[Waiting]:
        """Yield the rows of the buckets from `low` on, up to but without `high` (None: no bound), by bucket and dimensions."""
        bounds = "bucket >= ? AND bucket < ?" if high is not None else "bucket >= ?"
        query = f"SELECT * FROM staged INDEXED BY keys WHERE {bounds} ORDER BY bucket, dimensions, rowid"  # noqa: S608  # one of two texts of our own
        with _disk():
            found = map(Waiting._make, self._ordered().execute(query, (low,) if high is None else (low, high)))
            for _, same in itertools.groupby(found, key=lambda row: (row.bucket, row.dimensions)):
                *_, last = same
                yield last

    def __contains__(self, key: tuple[str, str]) -> bool:
        """Say whether there is a row of this bucket and these dimensions."""
        query = "SELECT 1 FROM staged WHERE bucket = ? AND dimensions = ?"
        with _disk():
            return self._ordered().execute(query, key).fetchone() is not None

    def sizes(self) -> list[tuple[str, int]]:
        """Return the buckets in order, each with about the bytes of its rows."""
        query = "SELECT bucket, sum(length(row) + length(dimensions)) FROM staged INDEXED BY keys GROUP BY bucket ORDER BY bucket"
        with _disk():
            return self._ordered().execute(query).fetchall()

    def close(self) -> None:
        """Throw everything away. Idempotent."""
        self._connection.close()

    def _ordered(self) -> sqlite3.Connection:
        self._connection.execute(_KEYS)
        return self._connection


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Retryable(f"what was pulled cannot be staged on disk: {error}") from error
