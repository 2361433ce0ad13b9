"""A bare SQLite loop: `python -m bench.bare_log DIRECTORY ROWS`; prints rows/s as JSON.

WAL, `synchronous=FULL`, 1,000 rows a commit: what the embedded log could do at best on this disk, in this minute.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import orjson

from bench import payloads
from bench.bare_producer import HEADERS

PER_COMMIT = 1000


def write(path: Path, rows: int) -> float:
    """Write rows as large as the log's; returns rows/s."""
    values = payloads.events(PER_COMMIT)
    headers = orjson.dumps([[name, value.decode()] for name, value in HEADERS])
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute(
        "CREATE TABLE IF NOT EXISTS records (topic INTEGER, partition INTEGER, position INTEGER, at INTEGER, key BLOB, value BLOB,"
        " headers BLOB, PRIMARY KEY (topic, partition, position))"
    )
    started = time.monotonic()
    for first in range(0, rows, PER_COMMIT):
        database.execute("BEGIN IMMEDIATE")
        database.executemany(
            "INSERT INTO records VALUES (1, ?, ?, 0, ?, ?, ?)",
            [(n % 6, first + n, b"user_123", value, headers) for n, value in enumerate(values)],
        )
        database.execute("COMMIT")
    elapsed = time.monotonic() - started
    database.close()
    return rows / elapsed


def main(directory: str, rows: int) -> None:
    """Write and print."""
    with tempfile.TemporaryDirectory(dir=directory) as fresh:
        print(orjson.dumps({"events_per_second": write(Path(fresh) / "bare.db", rows)}).decode())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
