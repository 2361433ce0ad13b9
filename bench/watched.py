"""What a running role takes: the memory and the deleted files that it holds, and how long it keeps a visitor waiting."""

from __future__ import annotations

import http.client
import stat
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK_SECONDS = 0.05


@dataclass(slots=True)
class Seen:
    """The most that was seen since `Watch.fresh`: MB of memory, MB of files without a name, seconds until /livez answered."""

    memory_mb: float = 0.0
    staged_mb: float = 0.0
    stall_seconds: float = 0.0


class Watch:
    """Looks at a process some twenty times a second. Life: `watching`."""

    def __init__(self, pid: int, admin_port: int) -> None:
        self._process = psutil.Process(pid)
        self._port = admin_port
        self._seen = Seen()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._look, self._visit)]

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, after at most one more look."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def fresh(self) -> Seen:
        """Return what was seen, and forget it."""
        seen, self._seen = self._seen, Seen()
        return seen

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            seen = self._seen
            try:
                seen.memory_mb = max(seen.memory_mb, self._process.memory_info().rss / 1e6)
                seen.staged_mb = max(seen.staged_mb, _nameless(self._process.pid) / 1e6)
            except psutil.NoSuchProcess:
                return

    def _visit(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._stop.wait(_LOOK_SECONDS / 2):
            began = time.perf_counter()
            try:
                connection.request("GET", "/livez")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()
                continue
            self._seen.stall_seconds = max(self._seen.stall_seconds, time.perf_counter() - began)
        connection.close()


@contextmanager
def watching(pid: int, admin_port: int) -> Iterator[Watch]:
    """Watch a process until the block ends."""
    watch = Watch(pid, admin_port)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def _nameless(pid: int) -> int:
    """Return how many bytes lie in files that are open and deleted."""
    sizes: dict[int, int] = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found = entry.stat()
        except OSError:  # closed meanwhile
            continue
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
            sizes[found.st_ino] = found.st_blocks * 512
    return sum(sizes.values())
