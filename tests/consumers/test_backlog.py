from __future__ import annotations

import math

import pytest

from consumers.pace.backlog import PRESENT_SECONDS, Backlog
from runtime.clock import ManualClock


async def test_what_waits_is_measured_by_what_was_settled_within_a_minute() -> None:
    clock = ManualClock()
    backlog = Backlog(clock)
    assert backlog.seconds(1_000, 5_000) is None, "one look tells no rate"
    await clock.advance(15)
    assert backlog.seconds(2_500, 5_000) == pytest.approx(50)
    for step in range(1, 9):
        await clock.advance(15)
        assert backlog.seconds(2_500 + 300 * step, 400) is not None
    assert backlog.seconds(4_900, 400) == pytest.approx(20), "20 a second over the last minute, 100 before"


async def test_nothing_waits_and_nothing_gets_out() -> None:
    clock = ManualClock()
    backlog = Backlog(clock)
    assert backlog.seconds(10, 0) == 0
    await clock.advance(PRESENT_SECONDS)
    assert backlog.seconds(10, 5) is None, "they may have come this moment"
    await clock.advance(15)
    assert backlog.seconds(10, 5) == math.inf
    await clock.advance(15)
    assert backlog.seconds(10, 0) == 0


async def test_a_parked_storefront_says_so_within_the_minute_and_is_honest_again_when_it_goes_on() -> None:
    clock = ManualClock()
    backlog = Backlog(clock)
    for step in range(5):
        backlog.seconds(1_000 * step, 10_000)
        await clock.advance(15)
    for _ in range(4):
        assert backlog.seconds(4_000, 12_000) not in (None, 0)
        await clock.advance(15)
    assert backlog.seconds(4_000, 12_000) == math.inf
    await clock.advance(15)
    assert backlog.seconds(7_000, 9_000) == pytest.approx(180), "3,000 within the last minute"


async def test_a_paced_storefront_is_measured_by_its_pace() -> None:
    clock = ManualClock()
    backlog = Backlog(clock)
    for step in range(20):
        backlog.seconds(1_500 * step, 60_000 - 1_500 * step)
        await clock.advance(15)
    assert backlog.seconds(30_000, 30_000) == pytest.approx(300), "100 a second"


async def test_the_time_in_which_nothing_waited_tells_nothing_of_the_rate() -> None:
    clock = ManualClock()
    backlog = Backlog(clock)
    for _ in range(4):
        assert backlog.seconds(10, 0) == 0
        await clock.advance(15)
    assert backlog.seconds(3_010, 6_000) == pytest.approx(30), "200 a second since it began at the latest"


async def test_a_group_that_was_set_back_counts_anew() -> None:
    clock = ManualClock()
    backlog = Backlog(clock)
    assert backlog.seconds(1_000, 10) is None
    await clock.advance(15)
    assert backlog.seconds(100, 910) is None
    await clock.advance(15)
    assert backlog.seconds(400, 610) == pytest.approx(30.5)
