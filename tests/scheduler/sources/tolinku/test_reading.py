"""Answers are read in a thread, one element at a time, and no longer than anybody waits."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from scheduler.sources.tolinku.reading import Reading
from tests.scheduler.far_side import Say, until
from tests.scheduler.replies import reply
from tests.scheduler.sources.tolinku.world import ask, export

if TYPE_CHECKING:
    from pathlib import Path

    from scheduler.sources.interface import Found
    from tests.scheduler.far_side import FarSide
    from tests.scheduler.sources.tolinku.world import Asking

COUPON = b'{"coupon_code": "SAVE%05d", "revenue": 1200.00, "orders": 40, "avg_discount": 12.50}'
MANY = 10_000


def coupons(count: int) -> bytes:
    return b'{"coupons": [' + b",\n".join(COUPON % number for number in range(count)) + b'], "days": 1}'


class Counting:
    def __init__(self) -> None:
        self.count = 0

    def put(self, _found: Found) -> None:
        self.count += 1


async def test_a_long_list_is_never_in_memory(tmp_path: Path) -> None:
    answer = await reply(200, coupons(MANY), directory=tmp_path)
    sink = Counting()
    reading = Reading(ask(export("revenue-by-coupon")), end_inclusive=True)
    tracemalloc.start()
    try:
        told = reading.read(answer, sink, threading.Event())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        answer.close()

    assert sink.count == MANY
    assert told.whole
    assert answer.size > 800_000
    assert peak < 2_000_000  # as dictionaries they would take more than 5 MB


class Holding:
    """A sink that takes its first row only when it is let."""

    def __init__(self) -> None:
        self.count = 0
        self.entered = threading.Event()
        self.let = threading.Event()

    def put(self, _found: Found) -> None:
        self.entered.set()
        self.let.wait(10)
        self.count += 1


async def test_whoever_cancels_gets_no_row_afterwards(far_side: FarSide, asking: Asking) -> None:
    far_side.say(Say(body=coupons(1000)))
    sink = Holding()
    pull = asyncio.create_task(asking.source.pull([ask(export("revenue-by-coupon"))], [sink]))
    await until(sink.entered.is_set)

    pull.cancel()
    await asyncio.sleep(0)
    sink.let.set()
    with pytest.raises(asyncio.CancelledError):
        await pull

    assert sink.count == 1
