"""Housekeeping: checkpoints, retention, compaction. One process does it for each file, whichever has its lock; if it dies, another."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Final

from broker.embedded.checkpoint import Checkpointer
from broker.embedded.chunk import DamagedChunk
from broker.embedded.compaction import compact
from broker.embedded.database import connect, explain
from broker.embedded.directory import LogFile
from broker.embedded.retention import delete_expired, shrink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Gauge
    from structlog.typing import FilteringBoundLogger

    from broker.embedded.directory import DataDirectory
    from broker.embedded.timing import Timing
    from runtime.clock import Clock

_GAUGE_SECONDS: Final = 10.0
_JOIN_SECONDS: Final = 5.0
# Between two transactions others have their turn.
_PAUSE_SECONDS: Final = 0.002


class Caretaker:
    """Life: construct → `start` → `stop`. A thread of its own, for all of it blocks."""

    def __init__(
        self, directory: DataDirectory, timing: Timing, clock: Clock, disk_bytes: Gauge, log: FilteringBoundLogger
    ) -> None:
        self._directory = directory
        self._timing = timing
        self._clock = clock
        self._disk_bytes = disk_bytes
        self._log = log
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._charges: list[_Charge] = []
        self._measured = float("-inf")

    def start(self) -> None:
        """Begin, unless it has begun. Does not wait."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log-caretaker", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End; what is under way ends after its transaction. Blocks for seconds at most. Idempotent."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        self._charges = [
            _Charge(self._directory, file, self._timing, self._clock, self._stopping, self._log) for file in LogFile
        ]
        while not self._stopping.is_set():
            self._measure()
            for charge in self._charges:
                charge.look()
            self._stopping.wait(self._timing.housekeeping)
        for charge in self._charges:
            charge.close()

    def _measure(self) -> None:
        if self._clock.monotonic() - self._measured < _GAUGE_SECONDS:
            return
        self._measured = self._clock.monotonic()
        try:
            self._disk_bytes.set(self._directory.bytes_used())
        except OSError as error:
            self._log.warning("log not measured", reason=str(error))


class _Charge:
    """One file. It is ours while we hold its lock, which is until we end."""

    def __init__(
        self,
        directory: DataDirectory,
        file: LogFile,
        timing: Timing,
        clock: Clock,
        stopping: threading.Event,
        log: FilteringBoundLogger,
    ) -> None:
        self._path = directory.database(file)
        self._lock_path = directory.caretaker(file)
        self._timing = timing
        self._clock = clock
        self._stopping = stopping
        self._log = log.bind(file=file.name.lower())
        self._lock = -1
        self._connection: sqlite3.Connection | None = None
        self._checkpointer: Checkpointer | None = None
        # Not at once: whoever starts has other things to do first.
        self._cleaned = clock.monotonic()

    def look(self) -> None:
        """Do what is due, if the file is ours."""
        try:
            if not self._is_ours():
                return
            assert self._connection is not None  # noqa: S101  # it is ours
            assert self._checkpointer is not None  # noqa: S101  # as above
            self._checkpointer.look()
            if self._clock.monotonic() - self._cleaned >= self._timing.retention:
                self._clean(self._connection, self._checkpointer)
                self._cleaned = self._clock.monotonic()
        except (sqlite3.Error, OSError, DamagedChunk) as error:
            reason = explain(self._path, error) if isinstance(error, sqlite3.Error) else str(error)
            self._log.warning("housekeeping failed", reason=reason)

    def close(self) -> None:
        """Leave the file to others."""
        if self._connection is not None:
            self._connection.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _is_ours(self) -> bool:
        if self._connection is not None:
            return True
        if self._lock < 0:
            self._lock = os.open(self._lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        # What a lost power cut undoes of this is done again.
        self._connection = connect(self._path, durable=False)
        self._checkpointer = Checkpointer(self._connection, self._path)
        return True

    def _clean(self, connection: sqlite3.Connection, checkpointer: Checkpointer) -> None:
        now_ms = int(self._clock.now() * 1000)
        at_least_every_ms = int(self._timing.compaction * 1000)
        deleted = self._drain(delete_expired(connection, now_ms), checkpointer)
        compacted = self._drain(compact(connection, now_ms, at_least_every_ms), checkpointer)
        self._drain(shrink(connection), checkpointer)
        if deleted or compacted:
            self._log.info("log cleaned", deleted_records=deleted, compacted_records=compacted)

    def _drain(self, pieces: Iterator[int], checkpointer: Checkpointer) -> int:
        total = 0
        for amount in pieces:
            total += amount
            checkpointer.look()
            if self._stopping.wait(_PAUSE_SECONDS):
                break
        return total
