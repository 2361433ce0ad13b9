from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.interface import Commit, LogRange
from consumers.audit import of_partition
from consumers.memory import METADATA_BYTES, beside, finished_above
from consumers.tally import Tally

TALLY = Tally(3, 6, 1)
LOG = LogRange(0, 1_000_000)


def test_with_nothing_finished_above_it_a_tally_stands_alone() -> None:
    assert beside(10, TALLY, b"") == beside(10, TALLY, b"\0\3\0") == TALLY.encode()


@given(st.binary(max_size=30_000).map(lambda noise: bytes(byte % 3 for byte in noise)))
def test_no_more_is_said_than_a_broker_takes(marks: bytes) -> None:
    metadata = beside(10, TALLY, marks)
    assert len(metadata.encode()) <= METADATA_BYTES
    said = finished_above(Commit(10, metadata), LOG)
    assert marks.startswith(said)
    assert len(said) >= min(len(marks.rstrip(b"\0")), 8_000)


def test_whoever_knows_only_the_tally_reads_it_and_the_balance_is_the_same() -> None:
    metadata = beside(10, TALLY, b"\0\1\1\2")
    assert Tally.decode(metadata) == TALLY
    alone = of_partition("acme", LOG, Commit(10, TALLY.encode()))
    assert of_partition("acme", LOG, Commit(10, metadata)) == alone


@pytest.mark.parametrize(
    ("commit", "log"),
    [
        (Commit(10, TALLY.encode()), LOG),
        (Commit(10, "set by hand"), LOG),
        (Commit(10, ""), LOG),
        (Commit(11, beside(10, TALLY, b"\0\1")), LOG),
        (Commit(10, beside(10, TALLY, b"\0\1")), LogRange(0, 11)),
        (Commit(10, beside(10, TALLY, b"\0\1")), LogRange(0, 4)),
        (Commit(10, '{"base":0,"above":[4]}'), LOG),
    ],
    ids=["an older version's", "somebody else's", "none", "moved", "not in the log", "nothing in the log", "placeless"],
)
def test_nothing_is_taken_for_finished_that_is_not_surely_said_so(commit: Commit, log: LogRange) -> None:
    assert finished_above(commit, log) == b""


@pytest.mark.parametrize("above", ["3", '"!"', '["4"]', "[1]", "[true]", '"AAAA"', "null", "{}"])
def test_what_is_damaged_is_told(above: str) -> None:
    with pytest.raises(ValueError, match=r"run|cannot be read"):
        finished_above(Commit(10, f'{{"base":0,"delivered":10,"at":10,"above":{above}}}'), LOG)
