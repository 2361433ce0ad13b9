"""How many requests may be out at once, against APIs of known speed."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import pytest

from consumers.pace.concurrency import Concurrency
from tests.chance import seeded

if TYPE_CHECKING:
    from collections.abc import Callable


class Api:
    """Answers each request after `latency(out)` seconds; with a backlog, as many are out as may be."""

    def __init__(self, concurrency: Concurrency, latency: Callable[[int], float]) -> None:
        self.concurrency = concurrency
        self.latency = latency
        self.now = 0.0
        self.answered = 0
        self.limits: list[int] = []
        self._out: list[tuple[float, float]] = []

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            while len(self._out) < self.concurrency.limit:
                heapq.heappush(self._out, (self.now + self.latency(len(self._out) + 1), self.now))
            self.now, sent = heapq.heappop(self._out)
            self.concurrency.answered(self.now - sent, len(self._out) + 1)
            self.answered += 1
            self.limits.append(self.concurrency.limit)


def shrunk(most: int, to: int) -> Concurrency:
    concurrency = Concurrency(most)
    while concurrency.limit > to:
        concurrency.refused(1)
    return concurrency


def test_it_begins_with_all_that_is_allowed() -> None:
    assert Concurrency(16).limit == 16


def test_from_one_it_is_at_sixteen_within_a_second_at_a_steady_fifty_milliseconds() -> None:
    api = Api(shrunk(16, 1), lambda _out: 0.05)
    api.run(1)
    assert api.concurrency.limit == 16
    api.run(10)
    assert min(api.limits[-3_000:]) == 16, "and it stays there"


def test_an_api_that_answers_at_once_makes_it_swing_no_more_than_noise_does() -> None:
    chance = seeded(1)
    api = Api(Concurrency(16), lambda out: 0.0005 * out + chance.expovariate(1 / 0.002))
    api.run(20)
    assert min(api.limits) == 16


def test_an_api_that_queues_is_not_given_more_than_it_bears() -> None:
    api = Api(Concurrency(64), lambda out: 0.05 if out <= 8 else 0.05 * (out / 8) ** 2)
    api.run(60)
    late = api.limits[len(api.limits) // 2 :]
    assert max(late) <= 32
    assert min(late) >= 4
    assert api.answered > 60 * 60, "160 a second is the most there is, with 8 out, and 20 with 64"


@pytest.mark.parametrize("latency", [0.05, 0.3, 2.0])
def test_looking_whether_fewer_are_faster_costs_next_to_nothing(latency: float) -> None:
    api = Api(Concurrency(16), lambda _out: latency)
    api.run(200 * latency)
    assert api.answered > 0.96 * 16 * 200


def test_an_api_that_has_become_slower_for_good_is_soon_given_all_again() -> None:
    slow = False
    api = Api(Concurrency(16), lambda _out: 0.6 if slow else 0.05)
    api.run(5)
    slow = True
    api.run(5)
    assert api.concurrency.limit < 10
    api.run(40)
    assert api.concurrency.limit == 16


def test_a_burst_of_refusals_counts_once() -> None:
    concurrency = Concurrency(16)
    for out in range(16, 0, -1):
        concurrency.refused(out)
    assert concurrency.limit == 8
    concurrency.refused(8)
    assert concurrency.limit == 4


def test_a_burst_of_failures_counts_once() -> None:
    concurrency = Concurrency(16)
    for out in range(16, 0, -1):
        concurrency.failed(out)
    assert concurrency.limit == 8
    for _ in range(100):
        concurrency.failed(1)
    assert concurrency.limit == 1


def test_one_batch_that_always_fails_costs_nothing() -> None:
    concurrency = Concurrency(16)
    for number in range(1_000):
        if number % 16:
            concurrency.answered(0.05, 16)
        else:
            concurrency.failed(16)
    assert concurrency.limit == 16


def test_it_does_not_grow_while_nobody_has_use_for_more() -> None:
    concurrency = shrunk(16, 4)
    for _ in range(1_000):
        concurrency.answered(0.05, 2)
    assert concurrency.limit == 4


@pytest.mark.parametrize("seed", range(12))
def test_whatever_comes_back_it_stays_within_its_bounds_and_recovers(seed: int) -> None:
    chance = seeded(seed)
    most = chance.choice([1, 2, 3, 16, 100])
    concurrency = Concurrency(most)
    for _ in range(2_000):
        out = chance.randint(1, most)
        what = chance.random()
        if what < 0.6:
            concurrency.answered(chance.choice([0.0, 0.001, 0.05, 30.0]), out)
        elif what < 0.9:
            concurrency.failed(out)
        else:
            concurrency.refused(out)
        assert 1 <= concurrency.limit <= most
    api = Api(concurrency, lambda _out: 0.05)
    api.run(60)
    assert concurrency.limit == most


@pytest.mark.parametrize("latency", [0.005, 0.05])
def test_a_machine_that_stalls_now_and_then_costs_next_to_nothing(latency: float) -> None:
    api: Api
    # Every 3 s everything that comes back in a fifth of a second comes late by as much.
    api = Api(Concurrency(16), lambda _out: latency + (0.2 if api.now % 3 < 0.2 else 0.0))
    api.run(30)
    assert sum(api.limits) / len(api.limits) > 15
    quiet = [limit for limit in api.limits if limit < 12]
    assert len(quiet) < 0.05 * len(api.limits)
