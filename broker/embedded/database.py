"""Connections to a log file, and what its errors mean to an operator."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from broker.embedded.directory import LogFile
from broker.embedded.schema import ensure_schema
from broker.interface import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from broker.embedded.directory import DataDirectory

# How long SQLite itself waits for another process's transaction; they take milliseconds.
_BUSY_SECONDS: Final = 1.0

_WORDS: Final = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_BUSY": "another process holds it locked",
    "SQLITE_LOCKED": "another process holds it locked",
    "SQLITE_READONLY": "it may not be written",
    "SQLITE_CANTOPEN": "it cannot be opened",
    "SQLITE_IOERR": "the disk reports an error",
    "SQLITE_CORRUPT": "the file is damaged",
    "SQLITE_NOTADB": "the file is damaged",
}


def connect(path: Path, *, durable: bool = True, readonly: bool = False) -> sqlite3.Connection:
    """Open a file that `create_files` made. Blocks. The connection is in autocommit mode and may move between threads, but is used by
    one at a time. `durable` syncs every commit; without it a commit survives the death of a process but not of the machine.
    """
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    connection.executescript(
        f"""
        PRAGMA synchronous = {"FULL" if durable else "NORMAL"};
        PRAGMA fullfsync = ON;
        PRAGMA wal_autocheckpoint = 0; -- the caretaker checkpoints
        PRAGMA journal_size_limit = 67108864;
        PRAGMA cache_size = -8192;
        PRAGMA temp_store = MEMORY;
        PRAGMA secure_delete = FAST;
        PRAGMA query_only = {"ON" if readonly else "OFF"};
        """
    )
    return connection


def create_files(directory: DataDirectory) -> None:
    """Create the directory and both files where they are not there. Blocks; safe in several processes at once. Raises Unavailable."""
    directory.create()
    # Turning the write-ahead log on fails instead of waiting when two do it at once.
    with locked(directory.setup):
        for file in LogFile:
            path = directory.database(file)
            try:
                os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
                connection = connect(path)
                try:
                    ensure_schema(connection, path)
                finally:
                    connection.close()
            except OSError as error:
                raise Unavailable(f"{path} cannot be opened: {error.strerror}") from error
            except sqlite3.Error as error:
                raise Unavailable(explain(path, error)) from error
    # What is acknowledged must not depend on directory entries that are not on the disk yet.
    for place in (directory.root, directory.root.resolve().parent):
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that `path` stands for. Blocks until no other process holds it; a dead one holds none. Raises
    Unavailable.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(f"{path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def transaction(connection: sqlite3.Connection, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE") -> Iterator[None]:
    """Run the block in one transaction: it commits at the end, or rolls back when anything is raised. Raises sqlite3.Error."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def is_of_the_disk(error: sqlite3.Error) -> bool:
    """Say whether an error came from the disk while it was written to: what was written may be there or not."""
    return getattr(error, "sqlite_errorname", "SQLITE_IOERR").startswith("SQLITE_IOERR")


def explain(path: Path, error: sqlite3.Error) -> str:
    """Return what is wrong with the file in an operator's words."""
    name = getattr(error, "sqlite_errorname", "")
    for prefix, words in _WORDS.items():
        if name.startswith(prefix):
            return f"{path}: {words}"
    return f"{path}: {error}"
