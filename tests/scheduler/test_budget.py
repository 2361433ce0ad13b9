from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.clock import ManualClock
from scheduler.budget import MAX_BURST, MINUTE, Budget, MonthSpent
from scheduler.errors import Parked

ROUNDING = 1e-3  # the clock's floats, so far from their zero


@dataclass
class Crowd:
    """`count` who come after `delay` s, hold their turns for `hold` s, and are cancelled `patience` s after coming."""

    count: int
    delay: float
    hold: float
    patience: float


@dataclass
class Day:
    """What a budget gave out: `turns` are the times at which they began."""

    clock: ManualClock = field(default_factory=ManualClock)
    turns: list[float] = field(default_factory=list)
    names: list[int] = field(default_factory=list)
    open: int = 0
    most_open: int = 0

    async def ask(self, budget: Budget, hold: float = 0.0, name: int = 0) -> None:
        async with budget.turn():
            self.turns.append(self.clock.monotonic())
            self.names.append(name)
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            try:
                await self.clock.sleep(hold)
            finally:
                self.open -= 1

    async def until_done(self, tasks: list[asyncio.Task[None]], step: float) -> None:
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            await self.clock.advance(step)


async def a_day(per_minute: int, concurrency: int, crowds: list[Crowd]) -> Day:
    day = Day()
    budget = Budget(per_minute, None, concurrency, day.clock)

    async def come(crowd: Crowd) -> None:
        await day.clock.sleep(crowd.delay)
        turn = asyncio.create_task(day.ask(budget, crowd.hold))
        leave = asyncio.create_task(day.clock.sleep(crowd.patience))
        await asyncio.wait([turn, leave], return_when=asyncio.FIRST_COMPLETED)
        for task in (turn, leave):
            task.cancel()
            with suppress(asyncio.CancelledError):  # it was
                await task

    await day.until_done([asyncio.create_task(come(crowd)) for crowd in crowds for _ in range(crowd.count)], 1.0)
    rest = asyncio.create_task(day.ask(budget))
    await day.until_done([rest], 1.0)
    assert budget.spent.requests == len(day.turns), "whoever was cancelled while waiting took nothing"
    return day


CROWDS = st.lists(
    st.builds(
        Crowd, st.integers(1, 45), st.floats(0, 90), st.sampled_from([0.0, 0.5, 5.0]), st.sampled_from([0.1, 30.0, 1e4])
    ),
    max_size=4,
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([7, 30, 60, 1000]), st.integers(1, 20), CROWDS)
@example(30, 20, [Crowd(45, 20.0, 0.0, 1e4)])
def test_no_minute_has_more_requests_than_it_may_whoever_comes_and_goes(
    per_minute: int, concurrency: int, crowds: list[Crowd]
) -> None:
    day = asyncio.run(a_day(per_minute, concurrency, crowds))
    interval = MINUTE / per_minute
    start = ManualClock().monotonic()
    assert day.turns[0] >= start + interval - ROUNDING, "it starts without a token"
    assert day.most_open <= concurrency
    for index, began in enumerate(day.turns):
        for later, again in enumerate(day.turns[index:]):
            assert later <= MAX_BURST - 1 + (again - began + ROUNDING) / interval
            assert later < per_minute or again - began >= MINUTE - ROUNDING


async def test_the_pace_is_kept_and_a_burst_is_saved() -> None:
    day = Day()
    budget = Budget(30, None, 10, day.clock)
    await day.clock.advance(600)
    began = day.clock.monotonic()
    tasks = [asyncio.create_task(day.ask(budget)) for _ in range(40)]
    await day.until_done(tasks, 0.5)
    waits = [turn - began for turn in day.turns]
    assert waits[:4] == pytest.approx([0, 0, 0, 2], abs=0.51), "three were saved"
    assert waits[29] == pytest.approx(54, abs=0.51)
    assert waits[30:33] == pytest.approx([60, 60, 60], abs=0.51), "the minute was full"


async def test_first_come_first_served() -> None:
    day = Day()
    budget = Budget(60, None, 2, day.clock)
    tasks = [asyncio.create_task(day.ask(budget, 5.0, name)) for name in range(8)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[3].cancel()
    await day.until_done(tasks, 0.5)
    assert day.names == [1, 2, 4, 5, 6, 7]
    assert day.most_open == 2


async def test_a_token_within_a_turn_needs_no_place() -> None:
    clock = ManualClock()
    budget = Budget(60, None, 1, clock)

    async def log_in_and_ask() -> float:
        async with budget.turn():
            await budget.token()
            return clock.monotonic()

    began = clock.monotonic()
    task = asyncio.create_task(log_in_and_ask())
    await Day(clock).until_done([task], 0.25)  # type: ignore[list-item]  # what it returns is looked at here
    assert task.result() - began == pytest.approx(2, abs=0.26)
    assert budget.spent.requests == 2


async def test_it_rests() -> None:
    day = Day()
    budget = Budget(60, None, 2, day.clock)
    began = day.clock.monotonic()
    tasks = [asyncio.create_task(day.ask(budget)) for _ in range(3)]
    await asyncio.sleep(0)
    budget.rest(day.clock.now() + 30)
    budget.rest(day.clock.now() + 10)
    await day.until_done(tasks, 0.5)
    assert [turn - began for turn in day.turns] == pytest.approx([30, 31, 32], abs=0.51), "and no burst follows"


def at(*when: int) -> ManualClock:
    return ManualClock(datetime(*when, tzinfo=UTC).timestamp())  # type: ignore[misc, arg-type]  # numbers, as many as are given


async def test_a_month_that_is_used_up_says_when_the_next_begins() -> None:
    day = Day(at(2026, 12, 31, 23, 50))
    budget = Budget(600, 3, 1, day.clock, MonthSpent("2026-12", 1))
    for expected in (2, 3):
        task = asyncio.create_task(day.ask(budget))
        await day.until_done([task], 0.1)
        assert budget.spent == MonthSpent("2026-12", expected)
    with pytest.raises(
        Parked, match=r"3 requests of 2026-12 are used up; there are new ones at 2027-01-01T00:00Z"
    ) as refused:
        await day.ask(budget)
    assert refused.value.kind == "quota"
    await day.clock.advance(600)
    assert budget.spent == MonthSpent("2027-01", 0)
    await day.until_done([asyncio.create_task(day.ask(budget))], 0.1)
    assert budget.spent == MonthSpent("2027-01", 1)


@pytest.mark.parametrize("spent", [None, MonthSpent("", 0), MonthSpent("2026-10", 7)])
async def test_what_was_spent_of_another_month_is_forgotten(spent: MonthSpent | None) -> None:
    budget = Budget(60, 5, 1, at(2026, 11, 1), spent)
    assert budget.spent == MonthSpent("2026-11", 0)
