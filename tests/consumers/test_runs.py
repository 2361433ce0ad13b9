from __future__ import annotations

import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.offsets.runs import Runs, pack, unpack
from tests.chance import seeded

ROOMY = 1_000_000


def size(runs: Runs) -> int:
    return len(msgspec.json.encode(runs))


def back(runs: Runs | None, most: int = ROOMY) -> bytes:
    """The runs as they come back from JSON."""
    return b"" if runs is None else unpack(msgspec.json.decode(msgspec.json.encode(runs), type=Runs), most)


marks = st.lists(st.tuples(st.sampled_from(b"\0\1\2"), st.integers(1, 400)), max_size=60).map(
    lambda runs: b"".join(bytes((mark,)) * length for mark, length in runs)
)


@given(marks)
def test_marks_come_back_as_they_were_but_for_what_says_nothing_at_their_end(written: bytes) -> None:
    assert back(pack(written, ROOMY)) == written.rstrip(b"\0")


@given(marks, st.integers(-10, 300))
def test_what_finds_no_room_is_left_out_from_the_far_end(written: bytes, room: int) -> None:
    packed = pack(written, room)
    said = back(packed)
    assert written.startswith(said)
    if packed is not None:
        assert size(packed) <= room
        assert said.rstrip(b"\0")


def test_short_ones_can_be_read_by_eye() -> None:
    assert pack(b"\0\0\1\1\1\2\0", ROOMY) == [6, 10, 5]


def test_as_much_is_said_as_is_read_again_however_well_it_deflates() -> None:
    written = b"\0\1" * 100_000
    said = back(pack(written, ROOMY))
    assert written.startswith(said)
    assert len(said) == 8_192


def test_of_other_marks_nothing_is_said() -> None:
    assert back(pack(b"\1\3\1\3", ROOMY)) == b"\1\0\1"
    assert pack(b"\3\3\0", ROOMY) is None


def test_long_ones_take_a_few_bits_for_each_run() -> None:
    chance = seeded(1)
    written = b"".join(b"\0" + b"\1" * chance.randint(1, 100) for _ in range(1_000))
    packed = pack(written, ROOMY)
    assert isinstance(packed, bytes)
    assert size(packed) < 3_000
    assert back(packed) == written


@pytest.mark.parametrize(
    "runs",
    [
        [2],
        [0],
        [-3],
        [4, -7],
        b"",
        b"not deflated",
        zlib.compress(b"[4]", wbits=-15)[:-1],
        zlib.compress(b'["4"]', wbits=-15),
        zlib.compress(b"\xff", wbits=-15),
        zlib.compress(b"[4" + b",4" * 100_000 + b"]", wbits=-15),
    ],
)
def test_what_is_damaged_is_refused(runs: Runs) -> None:
    with pytest.raises(ValueError, match="run"):
        unpack(runs, ROOMY)


def test_a_length_that_is_damaged_fills_no_memory() -> None:
    assert unpack([3 * 10**18 + 1, 4], 10) == b"\1" * 10
