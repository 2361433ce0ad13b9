"""Moving the write-ahead log into the file itself, without SQLite's WAL-reset bug.

SQLite 3.7.0 to 3.51.2 can lose pages when one connection begins a checkpoint just as another starts the write-ahead log anew, which it may
after a checkpoint that left nothing over (sqlite.org/wal.html#walresetbug). So no connection here checkpoints by itself: one process
does, and it commits something just before, so that there always is something left over until its own checkpoint ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_WORTHWHILE_BYTES: Final = 4 * 1024 * 1024
_TOO_LONG_BYTES: Final = 32 * 1024 * 1024
_RESTART_WAIT_MS: Final = 200


class Checkpointer:
    """Of one file, in the one process that takes care of it. Blocks."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._log = path.with_name(path.name + "-wal")
        self._seen = -1

    def look(self) -> None:
        """Checkpoint if there is enough to do. Raises sqlite3.Error."""
        version = self._data_version()
        if version == self._seen or not self._log.exists() or self._log.stat().st_size < _WORTHWHILE_BYTES:
            return
        self._seen = version
        if self._checkpoint("PASSIVE") > _TOO_LONG_BYTES:
            # Writers without a pause never let it come to its end: hold them up for as long as the rest takes.
            wait = self._pragma("busy_timeout")
            self._connection.execute(f"PRAGMA busy_timeout = {_RESTART_WAIT_MS}")
            self._checkpoint("RESTART")
            self._connection.execute(f"PRAGMA busy_timeout = {wait}")

    def _checkpoint(self, mode: str) -> int:
        """Return how many bytes of the write-ahead log are in use."""
        self._connection.execute("UPDATE checkpoints SET begun = begun + 1")
        _, frames, _ = self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        return int(frames) * self._pragma("page_size")

    def _data_version(self) -> int:
        return self._pragma("data_version")

    def _pragma(self, name: str) -> int:
        (value,) = self._connection.execute(f"PRAGMA {name}").fetchone()
        return int(value)
