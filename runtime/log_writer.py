"""Where rendered log lines wait and how they get out."""

from __future__ import annotations

import os
import select
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LINGER_SECONDS = 0.1
_MAX_BACKLOG_BYTES = 16 * 1024 * 1024


class LogWriter:
    """The logger that structlog wraps: takes whole lines as bytes, never waits for the reader of the logs.

    A thread writes them to `descriptor`: within 0.1 s, at once for warnings and above. When the reader is so slow that
    16 MiB wait, lines are dropped (G6: memory has a limit), and one made by `dropped_line` says how many. The thread
    starts with the first line.
    """

    def __init__(self, descriptor: int, dropped_line: Callable[[int], bytes]) -> None:
        self._descriptor = descriptor
        self._dropped_line = dropped_line
        self._lock = threading.RLock()  # a finaliser or a signal may log in the middle of `write`
        self._buffer = bytearray()
        self._dropped = 0
        self._something = threading.Event()  # the buffer is not empty
        self._urgent = threading.Event()  # do not linger
        self._idle = threading.Condition(self._lock)
        self._writing = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def write(self, line: bytes) -> None:
        """Take a line that may linger."""
        with self._lock:
            if len(self._buffer) > _MAX_BACKLOG_BYTES:
                self._dropped += 1
                return
            first = not self._buffer
            self._buffer += line
        if first:
            self._wake()

    def write_urgent(self, line: bytes) -> None:
        """Take a line that goes out now, and with it what waited."""
        self.write(line)
        self._urgent.set()

    debug = info = msg = log = write
    warning = warn = error = critical = fatal = exception = write_urgent

    def flush(self, timeout: float) -> None:
        """Wait up to `timeout` s until all that was taken is written."""
        self._urgent.set()
        with self._idle:
            self._idle.wait_for(lambda: not self._buffer and not self._writing, timeout)

    def close(self, timeout: float = 1.0) -> None:
        """Flush, then stop the thread; later lines are written by whoever brings them. Idempotent."""
        self.flush(timeout)
        self._closed = True
        self._urgent.set()
        self._something.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _wake(self) -> None:
        if self._closed:
            self._write_out()
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
            self._thread.start()
        self._something.set()

    def _run(self) -> None:
        while not self._closed:
            self._something.wait()
            self._urgent.wait(_LINGER_SECONDS)
            self._urgent.clear()
            self._something.clear()
            self._write_out()

    def _write_out(self) -> None:
        with self._lock:
            chunk, self._buffer = self._buffer, bytearray()
            dropped, self._dropped = self._dropped, 0
            self._writing = True
        if dropped:
            chunk += self._dropped_line(dropped)
        try:
            self._write_all(memoryview(chunk))
        finally:
            with self._lock:
                self._writing = False
                self._idle.notify_all()

    def _write_all(self, rest: memoryview) -> None:
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody made our stderr non-blocking
                select.select((), (self._descriptor,), (), 1.0)
            except OSError:
                return  # the reader is gone; there is nobody left to tell
