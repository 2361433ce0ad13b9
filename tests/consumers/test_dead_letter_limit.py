from __future__ import annotations

from typing import Any

import pytest

from consumers.dead_letter_limit import DeadLetterLimit, Excess
from runtime.settings import ForwarderSettings


def limit(**settings: Any) -> tuple[DeadLetterLimit, list[Excess]]:
    excesses: list[Excess] = []
    wanted = {"dead_letter_ratio": 0.1, "dead_letter_window": 100, "dead_letter_run": 5, **settings}
    return DeadLetterLimit(ForwarderSettings.model_validate(wanted), excesses.append), excesses


def refused(*indices: int) -> dict[int, str]:
    return {index: f"no {index}" for index in indices}


def test_a_run_that_is_too_long_is_held_from_the_first_that_is_too_many() -> None:
    guard, excesses = limit()
    assert guard.allowed(8, refused(1, 2, 3, 4, 5, 6, 7)) == {1, 2, 3, 4, 5}
    assert excesses == [Excess(6, 7, 6, "no 6")]


def test_a_delivery_between_ends_the_run() -> None:
    guard, excesses = limit()
    for _ in range(2):
        assert guard.allowed(6, refused(0, 1, 2, 3, 4)) == {0, 1, 2, 3, 4}
    assert excesses == []


def test_more_than_the_ratio_of_the_window_is_held() -> None:
    guard, excesses = limit()
    for _ in range(10):
        assert guard.allowed(3, refused(1)) == {1}
    assert guard.allowed(3, refused(1)) == set()
    assert excesses == [Excess(11, 32, 1, "no 1")]


def test_what_is_older_than_the_window_no_longer_counts() -> None:
    guard, excesses = limit()
    for _ in range(50):
        assert guard.allowed(1, refused(0)) == {0}
        guard.delivered(9)
    assert excesses == []


def test_a_handful_of_poison_parks_no_quiet_shop() -> None:
    guard, excesses = limit(dead_letter_window=1000)
    for _ in range(5):
        assert guard.allowed(1, refused(0)) == {0}
    assert excesses == []


@pytest.mark.parametrize("resets", [0, 1])
def test_past_the_limit_nothing_is_let_through_before_a_reset(resets: int) -> None:
    guard, excesses = limit()
    guard.allowed(6, refused(*range(6)))
    guard.delivered(1000)
    assert len(excesses) == 1
    for _ in range(resets):
        guard.reset()
    assert len(guard.allowed(6, refused(*range(6)))) == 5 * resets
    assert len(excesses) == 1 + resets


def test_a_ratio_of_0_holds_the_first_and_a_ratio_of_1_leaves_it_to_the_run() -> None:
    strict, excesses = limit(dead_letter_ratio=0.0)
    assert strict.allowed(1, refused(0)) == set()
    assert excesses == [Excess(1, 1, 1, "no 0")]
    lenient, excesses = limit(dead_letter_ratio=1.0, dead_letter_run=1_000_000)
    assert len(lenient.allowed(100, refused(*range(100)))) == 100
    assert excesses == []


def test_a_tenth_of_a_thousand_is_a_hundred() -> None:
    guard, _ = limit(dead_letter_window=1000, dead_letter_run=1000)
    assert len(guard.allowed(150, refused(*range(150)))) == 100
