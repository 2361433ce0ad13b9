"""Records into chunks and out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.embedded.chunk import (
    PIECE_BYTES,
    PIECE_RECORDS,
    Chunk,
    DamagedChunk,
    checksum,
    decode,
    encode_pieces,
    encode_thinned,
    join,
)
from broker.interface import RecordTooLarge

if TYPE_CHECKING:
    from broker.interface import Message

MESSAGES = st.lists(
    st.tuples(
        st.none() | st.binary(max_size=20),
        st.none() | st.binary(max_size=40),
        st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=40,
)


def written(records: bytes, offsets: bytes | None = None, timestamp: int = 99) -> Chunk:
    return Chunk(records, offsets, timestamp, checksum(records, offsets or b""))


@given(st.lists(MESSAGES, min_size=1, max_size=8))
def test_what_goes_in_comes_out(calls: list[list[Message]]) -> None:
    pieces = [piece for call in calls for piece in encode_pieces("topic", call, 1_000)]
    offset = 7
    out = []
    for count, chunk in join(pieces):
        records = decode(written(chunk), "topic", 3, offset)
        assert [record.offset for record in records] == list(range(offset, offset + count))
        offset += count
        out += records
    assert [(record.key, record.value, record.headers) for record in out] == [m for call in calls for m in call]
    assert {(record.topic, record.partition, record.timestamp) for record in out} == {("topic", 3, 99)}


@pytest.mark.parametrize(
    ("count", "size"), [(1, 1_000_000), (15, 10), (16, 10), (PIECE_RECORDS + 1, 10), (70_000, 0), (100, 10_000)]
)
def test_chunks_stay_of_a_size(count: int, size: int) -> None:
    pieces = encode_pieces("topic", [(None, bytes(size), ())] * count, 2_000_000)
    chunks = list(join(pieces))
    assert sum(records for records, _ in chunks) == count
    for records, chunk in chunks:
        assert records <= PIECE_RECORDS
        assert records == 1 or len(chunk) <= PIECE_BYTES + 3
        assert len(decode(written(chunk), "topic", 0, 0)) == records


def test_size_is_judged_record_by_record() -> None:
    exact = (b"k" * 10, b"v" * 80, [("ä" * 2, b"x" * 6)])
    assert len(encode_pieces("topic", [exact] * 50, 100)) == 1
    with pytest.raises(RecordTooLarge, match=r"a record of 101 bytes is larger than topic takes \(100\)"):
        encode_pieces("topic", [exact, (b"k" * 10, b"v" * 81, [("ä" * 2, b"x" * 6)])], 100)
    with pytest.raises(RecordTooLarge):
        encode_pieces("topic", [exact] * 900 + [(b"", b"v" * 101, ())], 100)


def test_a_thinned_chunk_keeps_its_offsets() -> None:
    ((_, chunk),) = join(encode_pieces("topic", [(b"%d" % n, b"v", [("h", b"x")]) for n in range(20)], 100))
    kept = decode(written(chunk), "topic", 0, 1_000)[3::7]
    again = decode(written(*encode_thinned(kept)), "topic", 0, 1_000)
    assert again == kept
    assert [record.offset for record in again] == [1_003, 1_010, 1_017]


@given(st.data())
def test_a_changed_byte_is_noticed(data: st.DataObject) -> None:
    messages: list[Message] = [(b"%d" % n, b"v", [("h", b"x")]) for n in range(9)]
    ((_, records),) = join(encode_pieces("topic", messages, 100))
    kept, offsets = encode_thinned(decode(written(records), "topic", 0, 0)[::2])
    chunk = written(kept, offsets)
    in_offsets = data.draw(st.booleans())
    content = bytearray(offsets if in_offsets else kept)
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    changed = chunk._replace(offsets=bytes(content)) if in_offsets else chunk._replace(records=bytes(content))
    with pytest.raises(DamagedChunk, match="topic/0, offset 7: the checksum does not fit"):
        decode(changed, "topic", 0, 7)
