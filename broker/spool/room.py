"""How much a spool may hold (G6)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from broker.interface import SpoolFull, Unavailable
from broker.spool.reserve import Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import Gauge

    from broker.embedded.broker import EmbeddedBroker
    from broker.interface import Message
    from broker.spool.reserve import Reserve
    from runtime.clock import Clock

_MEASURE_SECONDS: Final = 0.25
_REFUSED_SECONDS: Final = 5.0
_KEPT_BACK: Final = 0.1
_HEADERS_BYTES: Final = 256


class Room:
    """Bytes that are spooled: as measured on the disk, four times a second, and what was let in since. Life: construct → `start` → `close`.

    Each process counts what it lets in itself: together they may exceed the bound by what they let in between two measurements. While
    the disk has nothing but what is kept back on it, nothing is let in.
    """

    def __init__(self, store: EmbeddedBroker, reserve: Reserve, max_bytes: int, clock: Clock, gauge: Gauge) -> None:
        self._store = store
        self._reserve = reserve
        self._disk = Found(0, "the disk was not looked at yet")
        self._max_bytes = max_bytes
        self._clock = clock
        self._gauge = gauge
        self._measured = 0
        self._since = 0
        self._refused_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Measure, now and from now on. Raises Unavailable."""
        await self._measure()
        self._task = asyncio.create_task(self._go_on(), name="spool room")

    def take(self, messages: Sequence[Message], *, precious: bool) -> None:
        """Count messages in. Raises SpoolFull when there is no room for them; the last tenth is for `precious` ones."""
        limit = self._max_bytes if precious else self._max_bytes * (1 - _KEPT_BACK)
        self._take(messages, limit)

    def take_on(self, messages: Sequence[Message]) -> None:
        """Count in messages that were accepted from their sender, whatever is spooled already. Raises SpoolFull when the disk is full."""
        self._take(messages, float("inf"))

    def _take(self, messages: Sequence[Message], limit: float) -> None:
        size = sum(len(key or b"") + len(value or b"") + _HEADERS_BYTES for key, value, _ in messages)
        used = self._measured + self._since
        if self._since + size > self._disk.room:
            self._refused_at = self._clock.monotonic()
            raise SpoolFull(self._disk.full or f"the disk has room for {self._disk.room} bytes more")
        if used + size > limit:
            self._refused_at = self._clock.monotonic()
            raise SpoolFull(f"{used} bytes are spooled, {self._max_bytes} may be")
        self._since += size

    def fault(self) -> str | None:
        """Return that something was refused lately, or all would be, for readiness; None while all is taken."""
        if self._disk.full is not None:
            return self._disk.full
        if self._clock.monotonic() - self._refused_at > _REFUSED_SECONDS:
            return None
        return f"the spool is full: {self._measured} bytes; only purchases and refunds are taken, as long as they fit"

    async def close(self) -> None:
        """Measure no more. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _go_on(self) -> None:
        while True:
            await self._clock.sleep(_MEASURE_SECONDS)
            with contextlib.suppress(Unavailable):  # what is wrong with the disk, who writes to it is told
                await self._measure()

    async def _measure(self) -> None:
        before = self._since
        try:
            to_grow = await self._store.bytes_to_grow()
            self._disk = await asyncio.to_thread(self._reserve.look, self._clock.monotonic(), to_grow)
        except OSError as error:
            self._disk = Found(0, f"the disk cannot be looked at: {error.strerror}")
        self._measured = await self._store.bytes_held()
        self._since -= before
        self._gauge.set(self._measured)
