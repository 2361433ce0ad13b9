from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.tally import Tally
from consumers.tracker import DEAD_LETTERED, DELIVERED, Tracker
from tests.chance import seeded
from tests.consumers.records import read, record


def tally_of(tracker: Tracker) -> tuple[int, Tally] | None:
    commit = tracker.commit()
    return None if commit is None else (commit.offset, Tally.decode(commit.metadata))


def test_nothing_is_committed_before_something_is_finished() -> None:
    tracker = Tracker(5, Tally(5))
    read(tracker, [record(5), record(6)])
    assert tracker.commit() is None


def test_commits_go_up_to_the_first_unfinished_record() -> None:
    tracker = Tracker(0, Tally(0))
    records = [record(offset) for offset in range(5)]
    read(tracker, records)
    tracker.settle([records[1], records[4]], DELIVERED)
    assert tracker.commit() is None
    tracker.settle([records[0]], DEAD_LETTERED)
    assert tally_of(tracker) == (2, Tally(0, 1, 1))
    tracker.settle([records[2], records[3]], DELIVERED)
    assert tally_of(tracker) == (5, Tally(0, 4, 1))


def test_a_commit_that_is_written_is_not_written_again() -> None:
    tracker = Tracker(0, Tally(0))
    read(tracker, [record(0)])
    tracker.settle([record(0)], DELIVERED)
    assert tracker.commit() is not None
    assert tracker.commit() is not None, "a commit that failed is tried again"
    tracker.committed(1)
    assert tracker.commit() is None


def test_the_tally_of_the_last_assignment_goes_on() -> None:
    tracker = Tracker(10, Tally(2, 7, 1))
    read(tracker, [record(10)])
    tracker.settle([record(10)], DELIVERED)
    assert tally_of(tracker) == (11, Tally(2, 8, 1))


def test_an_offset_that_never_came_is_passed_but_in_no_tally() -> None:
    tracker = Tracker(0, Tally(0))
    records = [record(2), record(3), record(6)]
    read(tracker, records)
    tracker.settle(records, DELIVERED)
    assert tally_of(tracker) == (7, Tally(0, 3, 0)), "four offsets are unaccounted for"


def test_a_log_that_goes_backwards_is_refused() -> None:
    tracker = Tracker(3, Tally(3))
    read(tracker, [record(3), record(4)])
    with pytest.raises(ValueError, match="offset 4 was read again"):
        read(tracker, [record(4)])
    with pytest.raises(ValueError, match="offset 5 was read again"):
        read(tracker, [record(5), record(5)])
    assert tracker.next_offset == 5, "nothing of a refused read is taken"


def test_what_is_held_is_weighed_until_it_is_finished() -> None:
    tracker = Tracker(0, Tally(0))
    records = [record(0, value=b"x" * 1000), record(1, value=None)]
    read(tracker, records)
    assert tracker.held > 2000
    tracker.settle(records, DELIVERED)
    assert tracker.held == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 9_000), min_size=1, max_size=12))
def test_commits_are_contiguous_and_the_tally_adds_up_whatever_the_order(seed: int, reads: list[int]) -> None:
    chance = seeded(seed)
    tracker = Tracker(0, Tally(0))
    unfinished: list[int] = []
    marks: dict[int, int] = {}
    for size in reads:
        first = tracker.next_offset
        read(tracker, [record(offset) for offset in range(first, first + size)])
        unfinished += range(first, first + size)
        chance.shuffle(unfinished)
        for offset in unfinished[size // 2 :]:
            marks[offset] = chance.choice((DELIVERED, DEAD_LETTERED))
            tracker.settle([record(offset)], marks[offset])
        del unfinished[size // 2 :]
        lowest = min(unfinished, default=tracker.next_offset)
        below = [mark for offset, mark in marks.items() if offset < lowest]
        assert tracker.span == tracker.next_offset - lowest
        expected = (lowest, Tally(0, below.count(DELIVERED), below.count(DEAD_LETTERED)))
        assert tally_of(tracker) == (expected if lowest else None)
