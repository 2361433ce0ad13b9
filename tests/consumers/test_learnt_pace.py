"""The pace that is learnt from 429s alone, against APIs with every kind of limit, in simulated time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from consumers.pace.learnt import LEAST, Pace
from tests.consumers.limits import FixedWindow, Market, SlidingWindow, TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.consumers.limits import Limit

SETTLING = 5.0
"""Minutes after which it has adapted."""
LIMITS: list[Callable[[float], Limit]] = [
    FixedWindow,
    lambda limit: FixedWindow(limit, seconds=1),
    SlidingWindow,
    lambda limit: TokenBucket(limit, burst=20),
    lambda limit: TokenBucket(limit, burst=1.5),
]
NAMES = ["minutes", "seconds", "sliding", "bucket", "spacing"]


@pytest.mark.parametrize("limit", LIMITS, ids=NAMES)
async def test_few_are_refused_and_nearly_all_that_there_is_is_used(limit: Callable[[float], Limit]) -> None:
    market = Market(limit(600))
    await market.run(SETTLING)
    seen = await market.run(5)
    assert seen.refused < 1
    assert seen.all > 0.9 * 5 * 600


@pytest.mark.parametrize("limit", [FixedWindow, LIMITS[3]], ids=["minutes", "bucket"])
async def test_no_request_goes_out_before_a_retry_after_is_over(limit: Callable[[float], Limit]) -> None:
    market = Market(limit(600), says_when=True, shops=2)
    await market.run(SETTLING)
    seen = await market.run(6)
    assert sum(each.early for each in market.senders) == 0
    assert seen.refused < 1
    assert seen.all > 0.9 * 5 * 600


@pytest.mark.parametrize("limit", [FixedWindow, lambda limit: TokenBucket(limit, burst=5)])
async def test_a_slow_api_too_is_seldom_asked_too_much(limit: Callable[[float], Limit]) -> None:
    market = Market(limit(60))
    await market.run(8)
    seen = await market.run(20)
    assert seen.refused < 1
    assert seen.all > 0.9 * 20 * 60


async def test_an_api_that_takes_its_time_has_more_out_when_it_refuses_and_refuses_few_all_the_same() -> None:
    market = Market(FixedWindow(600), seconds=1.0)
    await market.run(8)
    seen = await market.run(6)
    assert seen.refused < 1
    assert seen.all > 0.9 * 6 * 600


@pytest.mark.parametrize("limit", LIMITS[:4], ids=NAMES[:4])
async def test_two_processes_behind_one_address_keep_its_limit_together(limit: Callable[[float], Limit]) -> None:
    market = Market(limit(600), processes=2)
    await market.run(SETTLING)
    seen = await market.run(5)
    assert seen.refused < 1
    assert seen.all > 0.9 * 5 * 600
    assert min(seen.taken) > 0.2 * seen.all


async def test_storefronts_have_equal_shares_and_what_one_leaves_is_the_others() -> None:
    market = Market(FixedWindow(600), shops=3)
    market.senders[2].demand = 0.5
    await market.run(SETTLING)
    one, other, idle = (await market.run(5)).taken
    assert one == pytest.approx(other, rel=0.02)
    assert idle == pytest.approx(0.5 * 300, abs=3)


@pytest.mark.parametrize("limit", LIMITS[:2], ids=NAMES[:2])
async def test_when_the_api_allows_more_it_is_found_within_minutes_and_without_a_storm(
    limit: Callable[[float], Limit],
) -> None:
    market = Market(limit(300))
    await market.run(SETTLING)
    market.limit.per_minute = 600
    found = await market.run(6)
    assert found.refused < 1
    assert (await market.run(3)).all > 0.9 * 3 * 600


@pytest.mark.parametrize("limit", [FixedWindow, LIMITS[3]], ids=["minutes", "bucket"])
async def test_when_the_api_allows_less_few_more_are_refused(limit: Callable[[float], Limit]) -> None:
    market = Market(limit(600))
    await market.run(SETTLING)
    market.limit.per_minute = 150
    await market.run(5)
    seen = await market.run(5)
    assert seen.refused < 1
    assert seen.all > 0.8 * 5 * 150


async def test_what_nobody_used_for_a_time_is_sought_anew() -> None:
    market = Market(SlidingWindow(100))
    await market.run(SETTLING)
    market.senders[0].demand = 0.1
    await market.run(5)
    market.limit.per_minute = 600
    market.senders[0].demand = math.inf
    assert (await market.run(1)).all > 250, "a hundred a minute before"


async def test_a_process_that_wanted_little_is_not_starved_when_it_wants_more() -> None:
    market = Market(TokenBucket(600, burst=20), processes=2)
    market.senders[1].demand = 0.2
    await market.run(4)
    market.senders[1].demand = math.inf
    await market.run(6)
    assert (await market.run(3)).taken[1] > 0.1 * 3 * 600


def test_a_refusal_for_once_teaches_nothing() -> None:
    pace = Pace(0.0)
    for second in range(100):
        pace.press(second)
        pace.taken(second)
    pace.refused(100.0)
    pace.resumed(101.0)
    assert pace.rate == math.inf


def test_who_comes_when_others_have_used_up_the_window_learns_nothing_from_that() -> None:
    pace = Pace(0.0)
    pace.press(1.0)
    pace.refused(1.0)
    pace.resumed(41.0)
    assert pace.rate == math.inf


def test_two_in_a_minute_teach_what_was_really_taken() -> None:
    pace = Pace(0.0)
    for refused in (40, 50):
        for second in range(refused - 10, refused):
            pace.press(second)
            pace.taken(second)
            pace.taken(second)
        pace.refused(refused)
        pace.resumed(refused + 1)
    assert pace.rate == pytest.approx(2, rel=0.1)


def test_who_needed_no_more_than_was_allowed_learns_nothing_from_a_refusal() -> None:
    pace = learnt(10.0)
    rate = pace.rate
    pace.refused(1_000.0)
    pace.resumed(1_030.0)
    assert pace.rate == rate


def test_it_grows_back_within_a_minute_then_hardly_and_then_ever_faster() -> None:
    pace = learnt(10.0)
    cut = pace.rate
    rates = []
    for tenth in range(1, 2_400):
        pace.sent(100 + tenth / 10, pressed=True)
        rates.append(pace.rate)
    assert rates[599] == pytest.approx(cut / 0.95, rel=0.01)
    assert rates[899] < 1.02 * rates[299]
    assert rates[2_399 - 1] > 1.3 * cut / 0.95


def test_what_is_not_used_does_not_grow() -> None:
    pace = learnt(10.0)
    cut = pace.rate
    for second in range(100, 1_000):
        pace.sent(second, pressed=False)
    assert pace.rate == cut


def test_however_often_it_is_refused_something_goes_out() -> None:
    pace = learnt(10.0)
    for second in range(100, 1_000):
        pace.press(second)
        pace.refused(second)
        pace.resumed(second + 30.0)
    assert pace.rate == LEAST


def learnt(rate: float) -> Pace:
    """A pace that was learnt at 61 s, and pressed up to then."""
    pace = Pace(0.0)
    for _ in range(round(rate * 61)):
        pace.taken(1.0)
    pace.press(1.0)
    pace.refused(1.0)
    pace.resumed(61.0)
    assert pace.rate == pytest.approx(rate, rel=0.1)
    pace.sent(100.0, pressed=False)
    return pace
