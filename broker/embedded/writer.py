"""The one thread of this process that appends to a file: whatever waits goes into one transaction and one sync (group commit)."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from typing import TYPE_CHECKING, Final, TypeVar, cast

from broker.embedded.append import append_at_once
from broker.embedded.database import connect, explain, is_of_the_disk
from broker.embedded.entries import Append, Work
from broker.embedded.wake import mark
from broker.interface import NotAcknowledged, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from prometheus_client import Histogram
    from structlog.typing import FilteringBoundLogger

    from broker.embedded.chunk import Piece
    from broker.embedded.directory import DataDirectory, LogFile
    from broker.embedded.entries import Entry
    from broker.embedded.wake import WakeSender
    from runtime.clock import Clock

# Bounds of one transaction: more would hold up whoever comes next for longer than it saves.
_COMMIT_RECORDS: Final = 5_000
_COMMIT_BYTES: Final = 4 * 1024 * 1024
_RETRY_SECONDS: Final = (0.01, 0.05, 0.25)
_STUCK_SECONDS: Final = 2.0
_WORK_SECONDS: Final = 30.0
_JOIN_SECONDS: Final = 5.0

T = TypeVar("T")


class Writer:
    """Life: construct in the event loop → `put`, `submit` … → `close`. The thread starts with the first entry."""

    def __init__(
        self,
        directory: DataDirectory,
        file: LogFile,
        sender: WakeSender,
        clock: Clock,
        append_seconds: Histogram,
        log: FilteringBoundLogger,
    ) -> None:
        self._path = directory.database(file)
        self._file = file
        self._sender = sender
        self._clock = clock
        self._append_seconds = append_seconds
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._fault: str | None = None
        self._writing_since: float | None = None

    def put(self, entry: Entry) -> None:
        """Queue an entry; its future is done when it is durable, or will not be. Does not wait."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"log-writer-{self._file.name.lower()}", daemon=True)
            self._thread.start()
        self._queue.put(entry)

    async def submit(
        self, run: Callable[[sqlite3.Connection], T], marks: Collection[int] = (), seconds: float = _WORK_SECONDS
    ) -> T:
        """Wait until what `run` wrote is durable (see `Work`); return what it returned. Raises what it raised, Unavailable when
        it was surely not written within `seconds`, NotAcknowledged when that is in doubt.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        entry = cast("Entry", Work(run, future, self._clock.monotonic(), marks))
        timer = self._loop.call_later(seconds, self.give_up, entry)
        self.put(entry)
        try:
            return await future
        finally:
            timer.cancel()

    def give_up(self, entry: Entry) -> None:
        """Fail an entry that took too long. It is not written any more, if the writer is not at it just now. Does not wait."""
        with self._lock:
            entry.withdrawn = True
            in_doubt = entry.taken
            if not in_doubt:
                entry.drop()
        reason = self.fault() or f"{self._path}: not written in time"
        entry.fail(NotAcknowledged(reason) if in_doubt else Unavailable(reason))

    def fault(self) -> str | None:
        """Return why nothing can be written at present, in an operator's words; None while it can."""
        since = self._writing_since
        if self._fault is None and since is not None and self._clock.monotonic() - since > _STUCK_SECONDS:
            return f"{self._path}: the disk takes longer than {_STUCK_SECONDS:g} s to write"
        return self._fault

    def close(self) -> None:
        """Write what is queued, once and without retries; end the thread. Blocks for seconds at most. Idempotent."""
        self._closing.set()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        while (entries := self._take()) is not None:
            try:
                self._write(entries)
            except Exception as error:  # noqa: BLE001  # the thread must outlive a fault of ours: others wait for it
                self._log.exception("log writer failed", file=self._file.name.lower())
                self._report(entries, Unavailable(f"{self._path}: {error}"))
        if self._connection is not None:
            self._connection.close()

    def _take(self) -> list[Entry] | None:
        """Wait for an entry; return it with what else is queued, up to the bounds of one transaction."""
        entry = self._queue.get()
        if entry is None:
            return None
        entries, records, size = [entry], entry.records, entry.size
        while records < _COMMIT_RECORDS and size < _COMMIT_BYTES:
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                break
            if entry is None:
                self._queue.put(None)
                break
            entries.append(entry)
            records += entry.records
            size += entry.size
        return entries

    def _write(self, entries: Sequence[Entry]) -> None:
        """Write what was taken: the appends in one transaction, everything else in its own."""
        appends = [entry for entry in entries if isinstance(entry, Append)]
        if appends:
            self._persist(appends)
        for entry in entries:
            if isinstance(entry, Work):
                self._persist([entry])

    def _persist(self, entries: Sequence[Entry]) -> None:
        """Try until it succeeds, or until nobody waits for it any more."""
        attempt = 0
        while claimed := self._claim(entries):
            try:
                self._commit(claimed)
            except sqlite3.OperationalError as error:
                self._fault = explain(self._path, error)
                self._unclaim(claimed, error)
                if attempt == 0:
                    self._log.warning("log not writable", reason=self._fault)
                if self._closing.wait(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)]):
                    self._abandon(claimed)
                    return
                attempt += 1
            except sqlite3.Error as error:
                # Not the file's state but something in an entry, perhaps: the others must not fail with it.
                if len(claimed) > 1:
                    for entry in claimed:
                        self._persist([entry])
                else:
                    self._report(claimed, Unavailable(explain(self._path, error)))
                return
            else:
                self._fault = None
                self._settle(claimed)
                return

    def _claim(self, entries: Sequence[Entry]) -> list[Entry]:
        with self._lock:
            wanted = [entry for entry in entries if not entry.withdrawn]
            for entry in wanted:
                entry.taken = True
        return wanted

    def _unclaim(self, entries: Sequence[Entry], error: sqlite3.OperationalError) -> None:
        """After an error of the disk the transaction may be found on it when the machine comes up again; after others it is not there."""
        if is_of_the_disk(error):
            return
        with self._lock:
            for entry in entries:
                entry.taken = False

    def _commit(self, entries: Sequence[Entry]) -> None:
        self._writing_since = self._clock.monotonic()
        try:
            if self._connection is None:
                self._connection = connect(self._path)
            pieces: dict[int, list[Piece]] = {}
            for entry in entries:
                if isinstance(entry, Append):
                    pieces.setdefault(entry.partition, []).extend(entry.pieces)
                else:
                    entry.attempt(self._connection)
            if pieces:
                append_at_once(self._connection, pieces, int(self._clock.now() * 1000))
        finally:
            self._writing_since = None

    def _settle(self, entries: Sequence[Entry]) -> None:
        self._report(entries, None)
        marks = {mark(self._file, entry.partition) for entry in entries if isinstance(entry, Append)}
        marks.update(value for entry in entries if isinstance(entry, Work) for value in entry.marks)
        if marks:
            self._sender.tell(marks)
            # The slowest of each transaction; one observation per call would cost more than the call.
            self._append_seconds.observe(self._clock.monotonic() - entries[0].queued_at)

    def _abandon(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            reason = self._fault or f"{self._path}: closed"
            self._report([entry], NotAcknowledged(reason) if entry.taken else Unavailable(reason))

    def _report(self, entries: Sequence[Entry], error: Exception | None) -> None:
        """Tell the callers in their own thread; one turn of the loop for all of them."""

        def tell() -> None:
            for entry in entries:
                if error is None:
                    entry.settle()
                else:
                    entry.fail(error)

        # A loop that is closed has nobody who waits.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(tell)
