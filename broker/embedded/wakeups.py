"""Who in this process wants to hear of new records; one FIFO for all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

from broker.embedded.wake import EVERYTHING, WakeReceiver

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from broker.embedded.timing import Timing

    Listener: TypeAlias = Callable[[Collection[int]], None]


class Wakeups:
    """Life: construct in the event loop → `open` … → `close`. The FIFO is made for the first who listens."""

    def __init__(self, directory: Path, timing: Timing) -> None:
        self._timing = timing
        self._loop = asyncio.get_running_loop()
        self._receiver = WakeReceiver(directory, self._loop, self._woken)
        self._opening = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._listeners: set[Listener] = set()

    async def open(self) -> str:
        """Return the name of this process's FIFO, after making it if need be. Raises Unavailable."""
        async with self._opening:
            if self._looking is None:
                await self._loop.run_in_executor(None, self._receiver.make)
                self._receiver.watch()
                self._looking = self._loop.create_task(self._look_now_and_then(), name="safety check")
        return self._receiver.name

    def listen(self, listener: Listener) -> None:
        """Call `listener` in the event loop with the marks of what is new."""
        self._listeners.add(listener)

    def unlisten(self, listener: Listener) -> None:
        """Call it no longer."""
        self._listeners.discard(listener)

    async def close(self) -> None:
        """Remove the FIFO, and wake everybody a last time: who reads on finds the log closed. Idempotent."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            self._receiver.ignore()
            await self._loop.run_in_executor(None, self._receiver.remove)
            self._woken((EVERYTHING,))

    def _woken(self, marks: Collection[int]) -> None:
        for listener in tuple(self._listeners):
            listener(marks)

    async def _look_now_and_then(self) -> None:
        """Make up for whoever could not wake us."""
        while True:
            await asyncio.sleep(self._timing.safety_check)
            self._woken((EVERYTHING,))
