from __future__ import annotations

import asyncio

import pytest

from runtime.clock import Clock, ManualClock, SystemClock


async def woken(clock: Clock, seconds: float, name: str, order: list[str]) -> None:
    await clock.sleep(seconds)
    order.append(f"{name} at {clock.now():.1f}")


async def test_sleepers_wake_in_the_order_of_their_times_and_see_them() -> None:
    clock = ManualClock(start=100)
    order: list[str] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(woken(clock, 3, "late", order))
        group.create_task(woken(clock, 1, "early", order))
        group.create_task(woken(clock, 1, "early too", order))
        await asyncio.sleep(0)

        await clock.advance(2)
        assert order == ["early at 101.0", "early too at 101.0"]
        await clock.advance(1)

    assert order[2:] == ["late at 103.0"]
    assert clock.slept == [3, 1, 1]


async def test_nobody_wakes_before_the_clock_is_moved() -> None:
    clock = ManualClock()
    sleeper = asyncio.ensure_future(clock.sleep(0.1))
    await asyncio.sleep(0.01)

    assert not sleeper.done()
    await clock.advance(0.1)
    assert sleeper.done()


async def test_a_sleeper_that_sleeps_again_is_woken_within_one_move() -> None:
    clock = ManualClock(start=0)
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            await clock.sleep(1)
            ticks.append(clock.monotonic())

    ticker = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    await clock.advance(3.5)
    ticker.cancel()

    assert ticks == [1, 2, 3]
    assert clock.now() == 3.5


async def test_a_cancelled_sleeper_is_passed_over() -> None:
    clock = ManualClock()
    sleeper = asyncio.ensure_future(clock.sleep(1))
    await asyncio.sleep(0)
    sleeper.cancel()
    await asyncio.sleep(0)
    await clock.advance(2)

    assert sleeper.cancelled()


async def test_a_sleep_of_nothing_gives_others_a_turn() -> None:
    clock = ManualClock()
    ran: list[str] = []
    other = asyncio.ensure_future(woken(clock, 0, "other", ran))
    await clock.sleep(0)
    await other

    assert len(ran) == 1


async def test_the_system_clock_waits_really() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.02)

    assert clock.monotonic() - before >= 0.019
    assert clock.now() == pytest.approx(clock.now(), abs=1)
