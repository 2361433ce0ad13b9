"""Room on the disk that is kept for getting what is spooled off it again: on a disk that is quite full nothing can be deleted either."""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from broker.embedded.directory import DataDirectory, LogFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB: Final = 1024 * 1024
_LARGEST_BYTES: Final = 16 * MIB
_OF_THE_SPOOL: Final = 16
_SPARE_BYTES: Final = 2 * MIB
_COST: Final = 2
"""What is appended stands in the write-ahead log, and then in the database too."""
# SQLite's file format of the write-ahead log, section 2: a page's size, the last frame's number, how many are copied.
_INDEX: Final = struct.Struct("=14xHI76xI")
_PATIENCE_SECONDS: Final = 12.0
"""Longer than an append that was let in can wait for the disk: it must not get what is given up."""


class Found(NamedTuple):
    """How many bytes of records the disk has room for, and if it has none, why, in an operator's words."""

    room: int
    full: str | None


class _Disk(NamedTuple):
    """Bytes that are free for us; whether the reserve is there; how much a checkpoint has to copy."""

    free: int
    reserved: bool
    to_copy: int


class Reserve:
    """A file of zeros beside the log, which all processes of a gateway share. Nothing is let in while it is not there, or while less is
    free than is needed to go on. Given up when the disk has been full for a while, it is made again when there is room for it.

    `free` returns how many bytes the disk at a path has left.
    """

    def __init__(self, path: Path, max_bytes: int, free: Callable[[Path], int] | None = None) -> None:
        self._path = path
        self._file = path / "reserve"
        database = DataDirectory(path).database(LogFile.EVENTS)
        self._index = database.with_name(database.name + "-shm")
        self.size = min(_LARGEST_BYTES, max_bytes // _OF_THE_SPOOL)
        self._spare = min(_SPARE_BYTES, self.size)
        self._free = free or _free
        self._low_since: float | None = None

    def look(self, now: float) -> Found:
        """Keep the reserve as it has to be at `now` (monotonic seconds); return what may be let in. Blocks. Raises OSError."""
        disk = self._disk()
        needed = self._spare + disk.to_copy
        if not disk.reserved and disk.free >= self.size + needed + self._spare:
            self._make()
            disk = self._disk()
        if disk.reserved and disk.free >= needed:
            self._low_since = None
            return Found((disk.free - needed) // _COST, None)
        if self._low_since is None:
            self._low_since = now
        if disk.reserved and now - self._low_since > _PATIENCE_SECONDS:
            os.truncate(self._file, 0)
        full = f"the disk is full: {disk.free} bytes are free, {needed} are needed beside what the spool keeps back"
        return Found(0, full)

    def _disk(self) -> _Disk:
        return _Disk(self._free(self._path), self._allocated() >= self.size, _to_copy(self._index))

    def _allocated(self) -> int:
        try:
            return self._file.stat().st_size
        except FileNotFoundError:
            return 0

    def _make(self) -> None:
        descriptor = os.open(self._file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self.size)
        except OSError as error:
            os.ftruncate(descriptor, 0)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
        finally:
            os.close(descriptor)


def _to_copy(index: Path) -> int:
    """Return how many bytes of a write-ahead log are not in the database yet, by its index, which all who write keep in shared memory."""
    try:
        with index.open("rb") as file:
            head = file.read(_INDEX.size)
    except FileNotFoundError:
        return 0
    if len(head) < _INDEX.size:
        return 0
    page_size, frames, copied = map(int, _INDEX.unpack(head))
    # 64 KiB does not fit into its field.
    return max(0, frames - copied) * (page_size if page_size > 1 else 1 << 16)


def _free(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
