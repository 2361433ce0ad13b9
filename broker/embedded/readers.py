"""Short reads on a few threads, never on the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from broker.embedded.database import connect, explain
from broker.interface import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.embedded.directory import DataDirectory, LogFile

_THREADS: Final = 2

T = TypeVar("T")


class _Own(threading.local):
    """Each thread's connections."""

    def __init__(self) -> None:
        self.connections: dict[LogFile, sqlite3.Connection] = {}


class Readers:
    """Life: construct → `run` … → `refuse` → `close`. Each thread has its own connection to each file."""

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="log-reader")
        self._own = _Own()
        self._closing = False
        self._opened: list[sqlite3.Connection] = []

    async def run(self, file: LogFile, read: Callable[[sqlite3.Connection], T]) -> T:
        """Wait for `read` on a connection to `file`. It should take milliseconds and fetch all it selects: an open read keeps the
        write-ahead log from being checkpointed. Raises Unavailable, and what `read` raises.
        """
        if self._closing:
            raise Unavailable(f"{self._directory.database(file)}: closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, file, read)

    def _read(self, file: LogFile, read: Callable[[sqlite3.Connection], T]) -> T:
        path = self._directory.database(file)
        try:
            return read(self._connection(file))
        except sqlite3.Error as error:
            raise Unavailable(explain(path, error)) from error
        except msgspec.MsgspecError as error:
            raise Unavailable(f"{path}: a chunk is damaged ({error})") from error

    def _connection(self, file: LogFile) -> sqlite3.Connection:
        connection = self._own.connections.get(file)
        if connection is None:
            connection = self._own.connections[file] = connect(self._directory.database(file), readonly=True)
            self._opened.append(connection)
        return connection

    def refuse(self) -> None:
        """Let `run` raise Unavailable from now on. Does not wait."""
        self._closing = True

    def close(self) -> None:
        """Wait for the reads that were asked for. Blocks."""
        self._threads.shutdown()
        for connection in self._opened:
            connection.close()
