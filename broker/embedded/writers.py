"""The writers of both files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.embedded.directory import LogFile
from broker.embedded.writer import Writer

if TYPE_CHECKING:
    from prometheus_client import Histogram
    from structlog.typing import FilteringBoundLogger

    from broker.embedded.directory import DataDirectory
    from broker.embedded.wake import WakeSender
    from runtime.clock import Clock


class Writers:
    """The writers of both files. Life: construct in the event loop → `of` … → `close`."""

    def __init__(
        self,
        directory: DataDirectory,
        sender: WakeSender,
        clock: Clock,
        append_seconds: Histogram,
        log: FilteringBoundLogger,
    ) -> None:
        self._writers = {file: Writer(directory, file, sender, clock, append_seconds, log) for file in LogFile}

    def of(self, file: LogFile) -> Writer:
        """Return the writer of a file."""
        return self._writers[file]

    def fault(self) -> str | None:
        """Return why one of the files cannot be written; None while both can."""
        return next((fault for writer in self._writers.values() if (fault := writer.fault())), None)

    def close(self) -> None:
        """Close both. Blocks for seconds at most. Idempotent."""
        for writer in self._writers.values():
            writer.close()
