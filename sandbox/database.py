"""The DuckDB file that the stand-ins keep their data in: one directory, one file, one process."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import duckdb

from runtime.errors import OperatorError

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "sandbox.duckdb"
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 2,
    "memory_limit": "512MB",
    # A checkpoint holds up commits while it runs: bigger ones are rarer, and a log of this size is replayed in well
    # under a second.
    "checkpoint_threshold": "64MB",
    # Nothing may be fetched from anywhere: what is needed is built in.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


class DatabaseUnavailable(OperatorError):
    """The data cannot be opened; the text says why and what to do."""


class Database:
    """An open DuckDB file. Every method waits for the disk: call them from a thread where an event loop runs.

    `directory` is created when missing. What the last owner committed is there, however it ended: DuckDB replays its
    log. Raises DatabaseUnavailable when another process has it open, or it cannot be read or written.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._connection = duckdb.connect(self.path, config=CONFIG)
        except OSError as error:
            raise DatabaseUnavailable(f"sandbox.path: {directory} cannot be used: {error.strerror or error}") from error
        except duckdb.Error as error:
            raise DatabaseUnavailable(_why(self.path, str(error))) from error

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Return a new connection to the same data, with transactions of its own. Whoever asks closes it."""
        return self._connection.cursor()

    def close(self) -> None:
        """Move what is in the log into the file, then close. Connections handed out must be closed before.
        Idempotent.
        """
        self._connection.close()


def _why(path: Path, message: str) -> str:
    if "lock" not in message:
        return f"sandbox.path: {path} cannot be opened: {message.splitlines()[0]}"
    holder = re.search(r"\(PID (\d+)\)", message)
    owner = f"process {holder[1]}" if holder else "another process"
    return f"sandbox.path: {path} is in use by {owner}: stop it, or give this sandbox another path"
