"""What a spool is found like at start: whole, torn at its end, or damaged."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Final

from broker.embedded.directory import DataDirectory, LogFile

if TYPE_CHECKING:
    from pathlib import Path

# SQLite's file format, section 4: the write-ahead log's header, and that of each of its frames.
_HEADER: Final = struct.Struct(">8I")
_FRAME: Final = struct.Struct(">6I")


class Guard:
    """Held by every process that uses a spool; `alone` tells the first of them. Life: constructed → `share` → `release`."""

    def __init__(self, path: Path) -> None:
        """Take the lock in the directory `path`, made where it is missing. Blocks while another process inspects it. Raises OSError."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(path / "inspection.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.alone = True
        except BlockingIOError:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
            self.alone = False

    def share(self) -> None:
        """Let others in."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def release(self) -> None:
        """Be done with it. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Findings:
    """`damage`: why nothing of the spool can be used, None when it can. `torn_pages`: what stands at its end and is no whole transaction:
    what was being written when the power failed, or what the disk has changed since.
    """

    def __init__(self, damage: str | None, torn_pages: int) -> None:
        self.damage = damage
        self.torn_pages = torn_pages


def inspect(path: Path) -> Findings:
    """Look at a spool that no process uses. Blocks for as long as it takes to read it."""
    database = DataDirectory(path).database(LogFile.EVENTS)
    if not database.exists():
        return Findings(None, 0)
    written = _frames_written(database.with_name(database.name + "-wal"))
    try:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            _, recovered, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.DatabaseError as error:
        # On a full disk what is there may be whole all the same, and who writes to it says what is wrong.
        return Findings(None if _is_want_of_room(error) else str(error), 0)
    return Findings(None if verdict == "ok" else str(verdict), max(0, written - max(0, recovered)))


def _is_want_of_room(error: sqlite3.Error) -> bool:
    return error.sqlite_errorname.startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHM"))


def put_aside(path: Path, name: str) -> Path:
    """Move the log of a spool that no process uses into a directory `name` in it, which is returned. Blocks. Raises OSError."""
    aside = path / name
    aside.mkdir(mode=0o700)
    for file in LogFile:
        database = DataDirectory(path).database(file)
        for part in database.parent.glob(f"{database.name}*"):
            part.rename(aside / part.name)
    return aside


def _frames_written(log: Path) -> int:
    """Return how many frames of its present generation a write-ahead log holds, be they whole transactions or not."""
    if not log.exists():
        return 0
    with log.open("rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            return 0
        _, _, page_size, _, *salts, _, _ = _HEADER.unpack(head)
        count = 0
        while len(frame := file.read(_FRAME.size)) == _FRAME.size:
            _, _, *its_salts, _, _ = _FRAME.unpack(frame)
            if its_salts != salts:
                break
            count += 1
            file.seek(page_size, os.SEEK_CUR)
        return count
