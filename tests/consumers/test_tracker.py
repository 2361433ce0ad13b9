from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.interface import LogRange
from consumers.offsets.memory import SENT, TRANSACTION, Remembered, remembered
from consumers.offsets.tally import Tally
from consumers.offsets.tracker import DEAD_LETTERED, DELIVERED, Tracker
from tests.chance import seeded
from tests.consumers.records import read, record

if TYPE_CHECKING:
    from broker.interface import Record

_OFFSET = attrgetter("offset")


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
    assert tally_of(tracker) == (0, Tally(0))
    tracker.settle([records[0]], DEAD_LETTERED)
    assert tally_of(tracker) == (2, Tally(0, 1, 1))
    tracker.settle([records[2], records[3]], DELIVERED)
    assert tally_of(tracker) == (5, Tally(0, 4, 1))


def test_a_commit_that_is_written_is_not_written_again() -> None:
    tracker = Tracker(0, Tally(0))
    read(tracker, [record(0), record(1), record(2)])
    tracker.settle([record(0)], DELIVERED)
    assert tracker.commit() is not None
    assert tracker.commit() is not None, "a commit that failed is tried again"
    tracker.committed()
    assert tracker.commit() is None
    tracker.settle([record(2)], DELIVERED)
    commit = tracker.commit()
    assert commit is not None
    assert (commit.offset, remembered(commit, LogRange(0, 3)).finished) == (1, bytes((0, DELIVERED)))


def test_what_is_finished_between_a_commit_and_its_acknowledgement_is_still_to_be_written() -> None:
    tracker = Tracker(0, Tally(0))
    read(tracker, [record(0), record(1)])
    tracker.settle([record(0)], DELIVERED)
    assert tracker.commit() is not None
    tracker.settle([record(1)], DELIVERED)
    tracker.committed()
    assert tally_of(tracker) == (2, Tally(0, 2))


def test_what_an_earlier_owner_finished_is_read_over_and_counted_when_the_commit_passes_it() -> None:
    tracker = Tracker(10, Tally(0, 10), Remembered(bytes((0, DELIVERED, DEAD_LETTERED, 0, DELIVERED))))
    records = [record(offset, value=b"x" * 1000) for offset in range(10, 17)]
    assert not tracker.is_due
    assert [each.offset for each in tracker.add(records[:3], 3000)] == [10]
    weight = tracker.held
    tracker.settle(records[:1], DELIVERED)
    assert tally_of(tracker) == (13, Tally(0, 12, 1))
    assert tracker.held == 0
    assert [each.offset for each in tracker.add(records[3:], 4000)] == [13, 15, 16]
    assert tracker.held == 3 * weight
    tracker.settle([records[3], *records[5:]], DELIVERED)
    assert tally_of(tracker) == (17, Tally(0, 16, 1))


def test_of_what_is_not_read_again_yet_the_next_owner_is_told_too() -> None:
    finished = bytes((0, 0, DELIVERED, DEAD_LETTERED))
    tracker = Tracker(10, Tally(0, 10), Remembered(finished))
    read(tracker, [record(10)])
    tracker.settle([record(10)], DELIVERED)
    commit = tracker.commit()
    assert commit is not None
    assert (commit.offset, remembered(commit, LogRange(0, 20)).finished) == (11, finished[1:])


def test_an_offset_that_an_earlier_owner_finished_is_not_missing_when_it_is_not_read_again() -> None:
    tracker = Tracker(0, Tally(0), Remembered(bytes((DELIVERED, 0, DEAD_LETTERED))))
    records = [record(1), record(4)]
    read(tracker, records)
    tracker.settle(records, DELIVERED)
    assert tally_of(tracker) == (5, Tally(0, 3, 1)), "only offset 3 is unaccounted for"


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
        assert tally_of(tracker) == (expected if marks else None)
        tracker.committed()


def test_what_is_in_doubt_is_written_until_its_transactions_are_finished() -> None:
    tracker = Tracker(10, Tally(0, 10))
    records = [record(offset) for offset in range(10, 15)]
    read(tracker, records)
    tracker.doubt(7_000, {11: SENT, 12: TRANSACTION, 13: SENT})
    commit = tracker.commit()
    assert commit is not None
    tracker.committed()
    before = remembered(commit, LogRange(0, 20))
    assert (commit.offset, before) == (10, Remembered(b"", {7_000: bytes((0, SENT, TRANSACTION, SENT))}))
    assert tracker.commit() is None

    tracker = Tracker(10, Tally(0, 10), before)
    assert tracker.doubts() == {7_000: {11: SENT, 12: TRANSACTION, 13: SENT}}
    read(tracker, records)
    tracker.settle(records[:2], DELIVERED)
    assert tracker.doubts() == {7_000: {12: TRANSACTION, 13: SENT}}
    commit = tracker.commit()
    assert commit is not None
    assert remembered(commit, LogRange(0, 20)).doubts == {7_000: bytes((TRANSACTION, SENT))}
    tracker.settle([records[2]], DEAD_LETTERED)
    assert tracker.doubts() == {}
    commit = tracker.commit()
    assert commit is not None
    assert "doubts" not in commit.metadata


def test_what_an_earlier_owner_finished_is_in_no_doubt() -> None:
    before = Remembered(bytes((0, DELIVERED)), {7_000: bytes((SENT, TRANSACTION, SENT))})
    tracker = Tracker(10, Tally(0, 10), before)
    assert tracker.doubts() == {}


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    size=st.integers(1, 3_000),
    lives=st.integers(1, 6),
    room=st.sampled_from((4_000, 200)),
    share=st.floats(0, 1),
)
def test_from_owner_to_owner_nothing_is_forgotten_and_what_is_written_is_not_done_again(
    seed: int, size: int, lives: int, room: int, share: float
) -> None:
    chance = seeded(seed)
    log = [record(offset) for offset in range(size) if chance.random() > 0.01]
    ended, settled, written = size, 0, Remembered()
    place, tally = 0, Tally(0)
    for life in range(lives + 1):
        tracker = Tracker(place, tally, written)
        handed: list[Record] = []
        while rest := log[bisect_left(log, tracker.next_offset, key=_OFFSET) :][: chance.randint(1, 700)]:
            handed += tracker.add(rest, 0)
        known = {place + index for index, mark in enumerate(written.finished) if mark}
        assert known.isdisjoint(each.offset for each in handed)
        chance.shuffle(handed)
        if life < lives:
            handed = handed[: int(len(handed) * share)]
        for each in handed:
            tracker.settle([each], chance.choice((DELIVERED, DEAD_LETTERED)))
        commit = tracker.commit(room)
        if commit is not None:
            assert len(commit.metadata) <= room
            place, tally = commit.offset, Tally.decode(commit.metadata)
            written = remembered(commit, LogRange(0, ended))
        settled += len(handed)
    assert tally.delivered + tally.dead_lettered == len([each for each in log if each.offset < place])
    assert place == (log[-1].offset + 1 if log else 0)
    assert settled == len(log) or room < 4_000, "each of them once"
