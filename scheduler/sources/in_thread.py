"""Reading an answer takes a thread: it waits for the disk, and a long one takes the processor for seconds."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


class Stopped(Exception):
    """Nobody waits any more for what is being read."""


async def in_thread(reading: Callable[[threading.Event], T]) -> T:
    """Return what `reading` returns, or raise what it raises, in a thread of its own.

    When this is cancelled, the event that `reading` was given is set, and its end awaited: no row may reach a sink, and
    nothing be read of an answer, that whoever cancelled is about to close.
    """
    stop = threading.Event()
    task = asyncio.create_task(asyncio.to_thread(reading, stop))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody else will ask for it
        raise


def stoppable(items: Iterable[T], stop: threading.Event) -> Iterator[T]:
    """Yield `items` until `stop` is set, which raises Stopped."""
    for item in items:
        if stop.is_set():
            raise Stopped
        yield item
