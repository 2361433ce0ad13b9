"""Waking readers in other processes, and in this one: each reader leaves a FIFO in the data directory, writers write to all of them.

What is written is a few marks of 8 bytes each: which partitions have new records, or that groups changed. A reader that was dead or
too slow to be told looks by itself every second or so. A FIFO without a reader is also how a dead process is recognised.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
import time
import uuid
from typing import TYPE_CHECKING, Final

from broker.interface import Unavailable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from broker.embedded.directory import LogFile

EVERYTHING: Final = -1
"""The mark for more partitions than fit."""
GROUPS: Final = -2
"""The mark for members that came, left or gave partitions away."""

_MARK: Final = struct.Struct("<q")
# A write of up to 512 bytes is whole or not at all on every POSIX system.
_MAX_MARKS: Final = 64
# The smallest pipe holds a page. Found filled nearly so far, somebody may not have been able to write.
_NEARLY_FULL: Final = 4096 - _MAX_MARKS * _MARK.size
_READ_BYTES: Final = 1024 * 1024
_SUFFIX: Final = ".fifo"
# The directory's time is as coarse as the kernel's tick: a listing so fresh may miss what came after it.
_SETTLED_NS: Final = 100_000_000
_LITTER_SECONDS: Final = 60.0


def mark(file: LogFile, partition: int) -> int:
    """Return the mark of a partition that has new records."""
    return partition * 2 + file


class WakeReceiver:
    """This process's FIFO, watched by the event loop. Life: construct → `make` → `watch` → … → `ignore` → `remove`.

    `woken` is called in the loop with marks, each at most once.
    """

    def __init__(
        self, directory: Path, loop: asyncio.AbstractEventLoop, woken: Callable[[Collection[int]], None]
    ) -> None:
        self.name = uuid.uuid4().hex + _SUFFIX
        self._path = directory / self.name
        self._loop = loop
        self._woken = woken
        self._reading = -1
        self._writing = -1

    def make(self) -> None:
        """Make the FIFO. Blocks. Raises Unavailable."""
        hidden = self._path.with_suffix(".new")
        try:
            os.mkfifo(hidden, 0o600)
            self._reading = os.open(hidden, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            # Without a writer of our own the last foreign one to leave would wake us without end.
            self._writing = os.open(hidden, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            # Under its name it always has a reader, or its process is dead.
            hidden.rename(self._path)
        except OSError as error:
            raise Unavailable(f"no FIFO can be made in {self._path.parent}: {error.strerror}") from error

    def watch(self) -> None:
        """Begin to be woken. Call it in the loop's thread."""
        self._loop.add_reader(self._reading, self._readable)

    def ignore(self) -> None:
        """Be woken no more. Call it in the loop's thread."""
        self._loop.remove_reader(self._reading)

    def remove(self) -> None:
        """Take the FIFO away. Blocks."""
        self._path.unlink(missing_ok=True)
        os.close(self._reading)
        os.close(self._writing)

    def _readable(self) -> None:
        try:
            data = os.read(self._reading, _READ_BYTES)
        except BlockingIOError:
            return
        marks = {value for (value,) in _MARK.iter_unpack(data[: len(data) // _MARK.size * _MARK.size])}
        if len(data) >= _NEARLY_FULL:
            marks |= {EVERYTHING, GROUPS}
        self._woken(marks)


class WakeSender:
    """Tells every reader of the data directory. Used from any thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._listed_ns = 0
        self._open: dict[str, int] = {}

    def tell(self, marks: Iterable[int]) -> None:
        """Wake all readers. Takes some 5 µs a reader. Never raises for a reader's sake: it looks by itself after a while."""
        distinct = set(marks)
        told = distinct if len(distinct) <= _MAX_MARKS else {EVERYTHING, *(value for value in distinct if value < 0)}
        message = b"".join(map(_MARK.pack, told))
        with self._lock:
            try:
                self._look_who_is_there()
            except OSError:
                # Readers look by themselves; whoever took the directory away hears of it from the files in it.
                return
            for name, descriptor in list(self._open.items()):
                try:
                    os.write(descriptor, message)
                except BlockingIOError:
                    # It has pages of marks to read: that it was nearly full tells it to look everywhere.
                    continue
                except OSError:
                    os.close(self._open.pop(name))

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            while self._open:
                os.close(self._open.popitem()[1])

    def _look_who_is_there(self) -> None:
        changed_ns = self._directory.stat().st_mtime_ns
        if changed_ns == self._listed_ns:
            return
        listed = {path.name for path in self._directory.iterdir() if path.suffix == _SUFFIX}
        for name in self._open.keys() - listed:
            os.close(self._open.pop(name))
        for name in listed - self._open.keys():
            descriptor = _open_for_writing(self._directory / name)
            if descriptor is None:
                _sweep(self._directory / name)
            else:
                self._open[name] = descriptor
        self._listed_ns = changed_ns if time.time_ns() - changed_ns > _SETTLED_NS else 0


def is_dead(directory: Path, name: str) -> bool:
    """Say whether the process that made the FIFO `name` surely lives no more. False also when nothing can be said. Blocks shortly."""
    try:
        os.close(os.open(directory / name, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.ENXIO
    return False


def _open_for_writing(path: Path) -> int | None:
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None


def _sweep(path: Path) -> None:
    """Remove what a dead process left, but not before those who ask whether it is dead had their answer."""
    try:
        if time.time() - path.stat().st_mtime > _LITTER_SECONDS:
            path.unlink()
    except OSError:
        # Another process swept it.
        return
