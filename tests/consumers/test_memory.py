from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.interface import Commit, LogRange
from consumers.audit import of_partition
from consumers.offsets.memory import METADATA_BYTES, SENT, TRANSACTION, Buried, Remembered, beside, remembered
from consumers.offsets.tally import Tally

TALLY = Tally(3, 6, 1)
LOG = LogRange(0, 1_000_000)
BEFORE = Remembered(b"\0\1", {1_700_000_000_000: b"\0\2"})


def test_with_nothing_finished_above_it_a_tally_stands_alone() -> None:
    assert beside(10, TALLY, Remembered()) == beside(10, TALLY, Remembered(b"\0\3\0")) == TALLY.encode()


@given(st.binary(max_size=30_000).map(lambda noise: bytes(byte % 3 for byte in noise)))
def test_no_more_is_said_than_a_broker_takes(marks: bytes) -> None:
    metadata = beside(10, TALLY, Remembered(marks))
    assert len(metadata.encode()) <= METADATA_BYTES
    said = remembered(Commit(10, metadata), LOG).finished
    assert marks.startswith(said)
    assert len(said) >= min(len(marks.rstrip(b"\0")), 8_000)


several = st.dictionaries(
    st.integers(0, 2_000_000_000_000),
    st.dictionaries(st.integers(0, 3_000), st.sampled_from((SENT, TRANSACTION)), min_size=1, max_size=100),
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@given(several, st.integers(0, METADATA_BYTES))
def test_the_oldest_doubts_are_remembered_as_far_as_there_is_room(doubts: dict[int, dict[int, int]], room: int) -> None:
    written = {since: bytes(offsets.get(n, 0) for n in range(max(offsets) + 1)) for since, offsets in doubts.items()}
    finished = b"\0\1" * 1_000
    metadata = beside(10, TALLY, Remembered(finished, written), room)
    assert len(metadata) <= max(room, len(TALLY.encode()))
    said = remembered(Commit(10, metadata), LOG)
    assert list(said.doubts) == sorted(written)[: len(said.doubts)]
    assert all(written[since].startswith(marks) for since, marks in said.doubts.items())
    if room == METADATA_BYTES:
        assert len(said.doubts) >= min(len(written), 5)
        assert len(said.finished) == 2_000


def test_a_doubt_can_be_read_by_eye() -> None:
    metadata = beside(10, TALLY, Remembered(b"\0\1", {1_700_000_000_000: b"\0\1\2"}))
    assert metadata == (
        '{"base":3,"delivered":6,"dead_lettered":1,"at":10,"doubts":[[1700000000000,[3,4,5]]],"above":[3,4]}'
    )


def test_what_was_buried_can_be_read_by_eye_and_is_said_first_of_all() -> None:
    buried = Buried(1_700_000_000_000, 1_000, 37, 2, "x")
    metadata = beside(10, TALLY, Remembered(b"", {}, buried))
    alone = TALLY.encode().rstrip("}")
    assert metadata == f'{alone},"at":10,"buried":[1700000000000,1000,37,2,"x"]}}'
    assert remembered(Commit(10, metadata), LOG).buried == buried
    room = len(metadata) + 20
    assert (
        remembered(Commit(10, beside(10, TALLY, Remembered(b"\0\1", {1: b"\2"}, buried), room)), LOG).buried == buried
    )
    assert beside(10, TALLY, Remembered(b"", {}, buried), len(TALLY.encode()) + 50) == TALLY.encode()


def test_whoever_knows_only_the_tally_reads_it_and_the_balance_is_the_same() -> None:
    metadata = beside(10, TALLY, Remembered(b"\0\1\1\2"))
    assert Tally.decode(metadata) == TALLY
    alone = of_partition("acme", LOG, Commit(10, TALLY.encode()))
    assert of_partition("acme", LOG, Commit(10, metadata)) == alone


@pytest.mark.parametrize(
    ("commit", "log"),
    [
        (Commit(10, TALLY.encode()), LOG),
        (Commit(10, "set by hand"), LOG),
        (Commit(10, ""), LOG),
        (Commit(11, beside(10, TALLY, BEFORE)), LOG),
        (Commit(10, beside(10, TALLY, BEFORE)), LogRange(0, 11)),
        (Commit(10, beside(10, TALLY, BEFORE)), LogRange(0, 4)),
        (Commit(10, '{"base":0,"above":[4]}'), LOG),
    ],
    ids=["an older version's", "somebody else's", "none", "moved", "not in the log", "nothing in the log", "placeless"],
)
def test_nothing_is_taken_for_finished_that_is_not_surely_said_so(commit: Commit, log: LogRange) -> None:
    assert remembered(commit, log) == Remembered()


@pytest.mark.parametrize("above", ["3", '"!"', '["4"]', "[1]", "[true]", '"AAAA"', "null", "{}"])
def test_what_is_damaged_is_told(above: str) -> None:
    with pytest.raises(ValueError, match=r"run|cannot be read"):
        remembered(Commit(10, f'{{"base":0,"delivered":10,"at":10,"above":{above}}}'), LOG)


@pytest.mark.parametrize("buried", ["3", "[1,2,3,4]", '[-1,2,3,4,""]', "[1,2,3,4,5]", "{}"])
def test_what_was_buried_is_told_to_be_damaged(buried: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        remembered(Commit(10, f'{{"base":0,"delivered":10,"at":10,"buried":{buried}}}'), LOG)


@pytest.mark.parametrize("doubts", ["3", "[3]", "[[-1,[4]]]", "[[1,[1]]]", '[[1,"!"]]', '[["1",[4]]]', "[[1]]"])
def test_doubts_that_are_damaged_are_told(doubts: str) -> None:
    with pytest.raises(ValueError, match=r"run|cannot be read"):
        remembered(Commit(10, f'{{"base":0,"delivered":10,"at":10,"doubts":{doubts}}}'), LOG)
