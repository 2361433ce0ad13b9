"""Room on the disk that is kept for getting what is spooled off it again: on a disk that is quite full nothing can be deleted either."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB: Final = 1024 * 1024
_LARGEST_BYTES: Final = 16 * MIB
_OF_THE_SPOOL: Final = 16
_SPARE_BYTES: Final = 2 * MIB
_COST: Final = 2
"""What is appended stands in the write-ahead log, and then in the database too."""
_PATIENCE_SECONDS: Final = 12.0
"""Longer than an append that was let in can wait for the disk: it must not get what is given up."""


class Found(NamedTuple):
    """How many bytes of records the disk has room for, and if it has none, why, in an operator's words."""

    room: int
    full: str | None


class _Disk(NamedTuple):
    """Bytes that are free for us; whether the reserve is there."""

    free: int
    reserved: bool


class Reserve:
    """A file of zeros beside the log, which all processes of a gateway share. Nothing is let in while it is not there, or while less is
    free than is needed to go on. Given up when the disk has been full for a while, it is made again when there is room for it.

    `free` returns how many bytes the disk at a path has left.
    """

    def __init__(self, path: Path, max_bytes: int, free: Callable[[Path], int] | None = None) -> None:
        self._path = path
        self._file = path / "reserve"
        self.size = min(_LARGEST_BYTES, max_bytes // _OF_THE_SPOOL)
        self._spare = min(_SPARE_BYTES, self.size)
        self._free = free or _free
        self._low_since: float | None = None

    def look(self, now: float, to_grow: int) -> Found:
        """Keep the reserve as it has to be at `now` (monotonic seconds), when the next checkpoint needs `to_grow` bytes; return what may
        be let in. Blocks. Raises OSError.
        """
        disk = self._disk()
        needed = self._spare + to_grow
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
        return _Disk(self._free(self._path), self._allocated() >= self.size)

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


def _free(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
