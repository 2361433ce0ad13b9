"""What was fetched is handed out in runs, whatever batches it came in."""

from __future__ import annotations

import gc
import sys
import weakref
from itertools import chain

import pytest
import zstandard
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from broker.kafka import fetched
from broker.kafka.inside import with_lasting_zstd

ZSTD = 4
READ_UNCOMMITTED = 0
CHECK_CRC = True


def batch(*offsets: int, compression: int = 0) -> bytes:
    """Return a Kafka batch that holds these offsets."""
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1 << 20)
    for offset in offsets:
        builder.append(offset, 1_700_000_000_000 + offset, b"key", b"%d" % offset, [("name", b"header")])
    return bytes(builder.build())


def fetch(position: int, *batches: bytes) -> fetched.Records:
    """Return what an answer with these batches holds from `position` on."""
    tp = TopicPartition("topic", 3)
    return fetched.Records(tp, MemoryRecords(b"".join(batches)), [], position, None, None, CHECK_CRC, READ_UNCOMMITTED)


@pytest.mark.parametrize("compression", [0, ZSTD])
@pytest.mark.parametrize("most", [1, 2, 3, 7, 100, None])
@pytest.mark.parametrize("position", [0, 1, 4, 5, 9])
def test_every_record_comes_once_and_none_before_the_position(
    position: int, most: int | None, compression: int
) -> None:
    with_lasting_zstd()
    found = fetch(position, batch(*range(5), compression=compression), batch(*range(5, 10), compression=compression))
    runs = []
    while run := found.take(most):
        assert most is None or len(run) <= most
        assert found.next_fetch_offset >= run[-1].offset + 1
        runs.append(run)
    assert [record.offset for record in chain(*runs)] == list(range(position, 10))
    assert found.next_fetch_offset == 10
    first = runs[0][0]
    assert first == fetched.FetchedRecord(
        "topic", 3, position, 1_700_000_000_000 + position, b"key", b"%d" % position, [("name", b"header")]
    )


def test_an_answer_that_was_handed_out_is_gone_without_a_look_for_garbage() -> None:
    answer = fetch(0, batch(0, 1), batch(2, 3))
    gone = weakref.ref(answer)
    gc.disable()
    try:
        assert len(answer.take(None)) == 4
        del answer
        assert gone() is None
    finally:
        gc.enable()


def test_offsets_that_compaction_took_are_passed_over() -> None:
    found = fetch(0, batch(0, 2, 3), batch(7, 9))
    assert [record.offset for record in found.take(4)] == [0, 2, 3, 7]
    assert found.next_fetch_offset == 8
    assert [record.offset for record in found.take(4)] == [9]
    assert found.next_fetch_offset == 10


def test_a_batch_whose_checksum_is_wrong_is_told() -> None:
    damaged = bytearray(batch(0, 1))
    damaged[-1] ^= 1
    with pytest.raises(CorruptRecordException, match="topic"):
        fetch(0, bytes(damaged)).take(None)


def test_a_frame_that_does_not_say_how_long_it_becomes_is_read() -> None:
    with_lasting_zstd()
    plain = b"as a stream's frames are" * 100
    stream = zstandard.ZstdCompressor().compressobj()
    frame = stream.compress(plain) + stream.flush()
    assert zstandard.frame_content_size(frame) == -1
    records = sys.modules[DefaultRecordBatchBuilder.__module__]
    assert vars(records)["zstd_decode"](frame) == plain
