"""Answers read in a thread that whoever waits can stop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from scheduler.sources.in_thread import Stopped, in_thread, stoppable

if TYPE_CHECKING:
    from collections.abc import Iterator


async def test_cancelling_waits_for_the_thread_to_let_go() -> None:
    begun, ended = threading.Event(), threading.Event()

    def endless() -> Iterator[int]:
        while True:
            begun.set()
            yield 1

    def reading(stop: threading.Event) -> None:
        try:
            for _ in stoppable(endless(), stop):
                pass
        finally:
            ended.set()

    task = asyncio.create_task(in_thread(reading))
    assert await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_what_a_thread_returns_and_raises() -> None:
    assert await in_thread(lambda stop: stop.is_set()) is False

    def fails(_stop: threading.Event) -> None:
        raise ValueError("so it is")

    with pytest.raises(ValueError, match="so it is"):
        await in_thread(fails)


def test_nothing_is_read_for_nobody() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        list(stoppable([1], stop))
