from __future__ import annotations

from typing import Any

import pytest

from consumers.letters.limit import DeadLetterLimit, Excess, Window
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


def reborn(before: DeadLetterLimit, **settings: Any) -> tuple[DeadLetterLimit, list[Excess]]:
    """Another process's limit, which goes on from what the one before it had counted."""
    after, excesses = limit(**settings)
    window = before.window
    if window is not None:
        after.inherit(window)
    return after, excesses


def test_of_a_storefront_without_dead_letters_there_is_nothing_to_tell() -> None:
    guard, _ = limit()
    guard.delivered(1_000)
    assert guard.window is None


def test_what_is_counted_goes_on_in_the_next_process() -> None:
    guard, _ = limit()
    guard.allowed(10, refused(0, 5, 8, 9))
    assert guard.window == Window(10, 4, 2)
    after, excesses = reborn(guard)
    assert not after.has_begun
    assert after.window == guard.window
    assert after.allowed(4, refused(0, 1, 2, 3)) == {0, 1, 2}
    assert excesses == [Excess(8, 14, 6, "no 3")]


def test_a_limit_has_begun_when_it_counted_itself() -> None:
    delivered, dead, held = [limit()[0] for _ in range(3)]
    delivered.delivered(1)
    dead.allowed(1, refused(0))
    held.inherit(Window(10, 10, 0))
    held.allowed(1, refused(0))
    assert [each.has_begun for each in (delivered, dead, held)] == [True, True, True]


def test_what_is_inherited_leaves_the_window_in_its_time() -> None:
    guard, _ = limit(dead_letter_run=100)
    for _ in range(9):
        guard.allowed(11, refused(3))
    after, _ = reborn(guard)
    after.delivered(50)
    assert after.window == Window(100, 5, 0)
    after.delivered(50)
    assert after.window == Window(100, 0, 0)


@pytest.mark.parametrize("life", [1, 7, 49])
def test_a_process_that_is_restarted_in_a_loop_buries_no_more_than_one_that_lives(life: int) -> None:
    guard, excesses = limit()
    buried = lives = 0
    while not excesses:
        buried += len(guard.allowed(life, refused(*range(life))))
        lives += 1
        assert lives < 10
        if not excesses:
            guard, excesses = reborn(guard)
    assert buried == 5


@pytest.mark.parametrize("life", [2, 10, 90])
def test_every_other_event_refused_is_too_much_also_from_life_to_life(life: int) -> None:
    guard, excesses = limit(dead_letter_window=1_000)
    buried = 0
    for _ in range(1_000):
        buried += len(guard.allowed(life, refused(*range(0, life, 2))))
        if excesses:
            break
        guard, excesses = reborn(guard, dead_letter_window=1_000)
    assert buried < 130, "of one process it would be 100"


@pytest.mark.parametrize("life", [20, 100, 1_500])
def test_what_one_process_may_bury_several_may_one_after_the_other(life: int) -> None:
    guard, excesses = limit(dead_letter_window=1_000)
    for _ in range(200):
        guard.allowed(life, refused(*range(0, life, 20)))
        guard, more = reborn(guard, dead_letter_window=1_000)
        excesses += more
    assert excesses == []


def test_numbers_that_cannot_be_are_cut_to_size() -> None:
    guard, _ = limit()
    guard.inherit(Window(10**15, 10**15, 10**15))
    assert guard.window == Window(100, 10, 5)
    guard.inherit(Window(3, 9, 9))
    assert guard.window == Window(3, 3, 5)
    assert guard.allowed(1, refused(0)) == set()
