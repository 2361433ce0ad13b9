"""Where staged rows lie once they are too many for memory: a file without a name, which goes with its connection."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemas.ledger import Span

_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -4000;
CREATE TABLE staged (
    bucket TEXT NOT NULL, dimensions TEXT NOT NULL, until TEXT NOT NULL, ask INTEGER NOT NULL, row BLOB NOT NULL,
    PRIMARY KEY (bucket, dimensions)
) WITHOUT ROWID;
"""


class Waiting(NamedTuple):
    """A row as it was put: JSON of what its ask's source told, and the number of that ask."""

    bucket: str
    dimensions: str
    until: str
    ask: int
    row: bytes


class Spill:
    """Rows by bucket and dimensions. Life: made → `add` … → read → `close`. Waits for the disk; one thread at a time."""

    def __init__(self) -> None:
        # A database without a name lives in its cache and spills into a file that has no name either.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.executescript(_SCHEMA)
        self._connection.execute("BEGIN")

    def add(self, rows: Iterable[Waiting]) -> None:
        """Take rows; one with the bucket and dimensions of an earlier one replaces it."""
        self._connection.executemany("INSERT OR REPLACE INTO staged VALUES (?, ?, ?, ?, ?)", rows)

    def forget(self, ask: int, before: str, spans: Iterable[Span]) -> None:
        """Throw away the rows of an ask in buckets that begin before `before`, as `bucket_name` gives it, and lie in one of `spans`."""
        self._connection.executemany(
            "DELETE FROM staged WHERE ask = ? AND bucket < ? AND bucket >= ? AND until <= ? AND until <> ''",
            [(ask, before, start, end) for start, end in spans],
        )

    def rows(self, low: str, high: str | None) -> Iterator[Waiting]:
        """Yield the rows of the buckets from `low` on, up to but without `high` (None: no bound), by bucket and dimensions."""
        query = "SELECT * FROM staged WHERE bucket >= ? AND (? IS NULL OR bucket < ?) ORDER BY bucket, dimensions"
        return map(Waiting._make, self._connection.execute(query, (low, high, high)))

    def __contains__(self, key: tuple[str, str]) -> bool:
        """Say whether there is a row of this bucket and these dimensions."""
        query = "SELECT 1 FROM staged WHERE bucket = ? AND dimensions = ?"
        return self._connection.execute(query, key).fetchone() is not None

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield the buckets in order, each with the bytes of its rows."""
        query = "SELECT bucket, sum(length(row) + length(dimensions)) FROM staged GROUP BY bucket ORDER BY bucket"
        return self._connection.execute(query)

    def close(self) -> None:
        """Throw everything away. Idempotent."""
        self._connection.close()
