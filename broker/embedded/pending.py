"""The calls of one publisher that wait for their acknowledgement, and how long they may."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.embedded.entries import Append
    from broker.embedded.writer import Writer


class Pending:
    """Used in the event loop only. `ack_timeout` in seconds; a call that waits longer is given up."""

    def __init__(self, ack_timeout: float) -> None:
        self.size = 0
        self._ack_timeout = ack_timeout
        self._loop = asyncio.get_running_loop()
        # In the order of their deadlines, which is that of the calls.
        self._waiting: dict[Append, tuple[float, Writer]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None

    def add(self, entry: Append, writer: Writer) -> None:
        """Let a call wait for `writer`."""
        deadline = self._loop.time() + self._ack_timeout
        self._waiting[entry] = (deadline, writer)
        self.size += entry.size
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._expire)

    def remove(self, entry: Append) -> None:
        """Let it wait no more: its fate is known. Harmless when it was removed before."""
        if self._waiting.pop(entry, None) is None:
            return
        self.size -= entry.size
        if not self._waiting and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    async def drain(self, seconds: float) -> None:
        """Wait until nothing waits any more, or so long; give up what then still does."""
        if self._waiting:
            self._empty = self._loop.create_future()
            await asyncio.wait([self._empty], timeout=seconds)
        for entry, (_, writer) in list(self._waiting.items()):
            writer.give_up(entry)
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for entry, (deadline, writer) in list(self._waiting.items()):
            if deadline > now:
                self._timer = self._loop.call_at(deadline, self._expire)
                break
            writer.give_up(entry)
