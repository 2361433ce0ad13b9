from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.gunzip import PIECE_BYTES, Gunzip


@settings(max_examples=50, deadline=None)
@given(members=st.lists(st.binary(max_size=2000), min_size=1, max_size=3), step=st.integers(1, 500))
def test_any_members_in_any_pieces(members: list[bytes], step: int) -> None:
    packed = b"".join(map(gzip.compress, members))
    gunzip = Gunzip()
    found = b"".join(
        piece for start in range(0, len(packed), step) for piece in gunzip.unpack(packed[start : start + step])
    )
    assert found == b"".join(members)
    assert gunzip.whole


def test_what_grows_comes_in_small_pieces() -> None:
    gunzip = Gunzip()
    sizes = [len(piece) for piece in gunzip.unpack(gzip.compress(bytes(10 * PIECE_BYTES + 1)))]
    assert sum(sizes) == 10 * PIECE_BYTES + 1
    assert max(sizes) <= PIECE_BYTES
    assert gunzip.whole


@pytest.mark.parametrize("missing", [1, 8, 20])
def test_what_is_cut_off_is_not_whole(missing: int) -> None:
    gunzip = Gunzip()
    list(gunzip.unpack(gzip.compress(b"abc" * 100)[:-missing]))
    assert not gunzip.whole


def test_no_body_is_whole_and_a_broken_one_raises() -> None:
    gunzip = Gunzip()
    assert gunzip.whole
    with pytest.raises(zlib.error):
        list(gunzip.unpack(b"<html>"))
