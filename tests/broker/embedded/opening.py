"""Brokers on one data directory, each as if in a process of its own."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from broker.embedded.broker import EmbeddedBroker
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from tests.broker.backend import quiet_log

if TYPE_CHECKING:
    from pathlib import Path

    from broker.embedded.directory import LogFile
    from broker.embedded.timing import Timing
    from broker.embedded.writer import Writer
    from runtime.clock import Clock


class Opener(AsyncExitStack):
    """`timing` is theirs unless they are opened with another."""

    def __init__(self, root: Path, timing: Timing) -> None:
        super().__init__()
        self.root = root
        self.timing = timing

    async def open(
        self,
        *,
        timing: Timing | None = None,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
        skip_damaged: bool = False,
    ) -> EmbeddedBroker:
        """Return a started broker; it is closed at the end."""
        broker = EmbeddedBroker(
            str(self.root),
            metrics or Metrics(),
            quiet_log(),
            clock or SystemClock(),
            timing or self.timing,
            skip_damaged=skip_damaged,
        )
        return await self.enter_async_context(broker)


def writer_of(broker: EmbeddedBroker, file: LogFile) -> Writer:
    """Return the thread of `broker` that writes a file, to put something in its way."""
    return broker._parts.writers.of(file)
