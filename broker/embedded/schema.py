"""The tables of a log file, and how a file becomes ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.interface import Unavailable

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

FORMAT = 2
"""What `user_version` says. A file of another format is refused."""

_APPLICATION_ID = 0x534C4345
"""Marks a file as ours: "SLCE"."""

OFFSET_BITS = 40
"""A chunk's key is its partition's id, shifted by so much, plus its first offset: 10^12 offsets in each of 8 million partitions."""

# Records lie in chunks, as in Kafka: what one group commit appends to one partition is one row. Python gives the interpreter lock away
# at every row that SQLite handles, and waits for it again; a row per record would cost more than all the rest. For the same reason what
# belongs together is one statement, by way of a trigger.
_TABLES = f"""
CREATE TABLE topics (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  partitions INTEGER NOT NULL,
  cleanup TEXT NOT NULL,
  retention_ms INTEGER NOT NULL,
  max_message_bytes INTEGER NOT NULL,
  held_by TEXT
);
CREATE TABLE partitions (
  id INTEGER PRIMARY KEY,
  topic INTEGER NOT NULL REFERENCES topics (id),
  number INTEGER NOT NULL,
  log_start INTEGER NOT NULL DEFAULT 0,
  log_end INTEGER NOT NULL DEFAULT 0,
  last_timestamp INTEGER NOT NULL DEFAULT 0,
  clean_end INTEGER NOT NULL DEFAULT 0,
  cleaned_at INTEGER NOT NULL DEFAULT 0,
  UNIQUE (topic, number)
);
CREATE TABLE chunks (
  position INTEGER PRIMARY KEY,
  span INTEGER NOT NULL,
  timestamp INTEGER NOT NULL,
  records BLOB NOT NULL,
  checksum INTEGER NOT NULL,
  offsets BLOB
);
CREATE VIEW appends AS SELECT 0 AS partition, 0 AS span, 0 AS timestamp, x'' AS records, 0 AS checksum;
CREATE TRIGGER append INSTEAD OF INSERT ON appends BEGIN
  SELECT RAISE(ABORT, 'no such partition') WHERE NOT EXISTS (SELECT 1 FROM partitions WHERE id = NEW.partition);
  INSERT INTO chunks (position, span, timestamp, records, checksum)
    SELECT (id << {OFFSET_BITS}) + log_end, NEW.span, max(last_timestamp, NEW.timestamp), NEW.records, NEW.checksum
    FROM partitions WHERE id = NEW.partition;
  UPDATE partitions SET log_end = log_end + NEW.span, last_timestamp = max(last_timestamp, NEW.timestamp)
    WHERE id = NEW.partition;
END;
CREATE VIEW expirations AS SELECT 0 AS partition, 0 AS log_start;
CREATE TRIGGER expire INSTEAD OF INSERT ON expirations BEGIN
  DELETE FROM chunks WHERE position BETWEEN NEW.partition << {OFFSET_BITS} AND (NEW.partition << {OFFSET_BITS}) + NEW.log_start - 1;
  UPDATE partitions SET log_start = max(log_start, NEW.log_start) WHERE id = NEW.partition;
END;
CREATE TABLE offsets (
  consumer_group TEXT NOT NULL,
  partition INTEGER NOT NULL,
  committed INTEGER NOT NULL,
  metadata TEXT NOT NULL,
  PRIMARY KEY (consumer_group, partition)
) WITHOUT ROWID;
CREATE TABLE members (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  consumer_group TEXT NOT NULL,
  topics TEXT NOT NULL,
  wake TEXT NOT NULL,
  heartbeat REAL NOT NULL
);
CREATE TABLE leases (
  consumer_group TEXT NOT NULL,
  partition INTEGER NOT NULL,
  member INTEGER NOT NULL,
  PRIMARY KEY (consumer_group, partition)
) WITHOUT ROWID;
CREATE TABLE owners (
  transactional_id TEXT PRIMARY KEY,
  epoch INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE checkpoints (
  id INTEGER PRIMARY KEY,
  begun INTEGER NOT NULL
);
INSERT INTO checkpoints VALUES (1, 0);
"""  # noqa: S608  # nothing but our own constant is put in


def ensure_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Make a new file ours, or see that it is. Blocks; call it in one process at a time. Raises Unavailable when the file is
    another program's or a later version's.
    """
    found = _pragma(connection, "user_version")
    if found == FORMAT and _pragma(connection, "application_id") == _APPLICATION_ID:
        return
    if found > FORMAT and _pragma(connection, "application_id") == _APPLICATION_ID:
        raise Unavailable(
            f"{path} was written by a later version of Sluice (format {found}; this one knows {FORMAT}): "
            "upgrade Sluice, or choose another broker.path"
        )
    if found and _pragma(connection, "application_id") == _APPLICATION_ID:
        raise Unavailable(
            f"{path} was written by an earlier version of Sluice (format {found}; this one knows {FORMAT}): "
            "let that version forward what is in it, then choose another broker.path"
        )
    if found or connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        raise Unavailable(f"{path} is not a log of Sluice's: choose another broker.path")
    # Before the first table, or the file would have to be rewritten for it.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.executescript(
        f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
    )


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
