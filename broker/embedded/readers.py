"""Short reads on a few threads, never on the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from broker.embedded.chunk import DamagedChunk
from broker.embedded.database import connect, explain
from broker.embedded.fetch import fetch
from broker.interface import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from broker.embedded.directory import DataDirectory, LogFile
    from broker.embedded.fetch import Damaged, Fetched, Wanted

_THREADS: Final = 2

T = TypeVar("T")


class _Own(threading.local):
    """Each thread's connections."""

    def __init__(self) -> None:
        self.connections: dict[LogFile, sqlite3.Connection] = {}


class Readers:
    """Life: construct → `run`, `fetch` … → `refuse` → `close`. Each thread has its own connection to each file.

    `damaged` is told, in a thread, of damaged chunks, which are then left out; without it nothing is read past one.
    """

    def __init__(self, directory: DataDirectory, damaged: Damaged | None = None) -> None:
        self._directory = directory
        self._damaged = damaged
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="log-reader")
        self._own = _Own()
        self._closing = False
        self._opened: list[sqlite3.Connection] = []

    async def fetch(self, file: LogFile, wanted: Sequence[Wanted]) -> list[Fetched]:
        """Return what was asked for, in the order asked; of a damaged chunk as it was said in the constructor. Raises Unavailable."""
        return await self.run(file, partial(fetch, wanted=wanted, damaged=self._damaged))

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
        except DamagedChunk as error:
            raise Unavailable(f"{path}: a chunk is damaged: {error}") from error

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
