"""Kafka alone: a batch that takes records until it is numbered. No broker is needed for these."""

from __future__ import annotations

import pytest
from aiokafka.record.default_records import DefaultRecordBatch

from broker.kafka.batch import OpenBatch
from tests.broker.log_contents import message


def test_nothing_is_added_to_a_batch_that_has_its_number() -> None:
    batch = OpenBatch(1024, 0)
    assert batch.fill([message(b"1"), message(b"2")], 1) == 2
    assert batch.fill([message(b"3")], 1) == 1
    batch._set_producer_state(7, 0, 40)
    assert batch.fill([message(b"4")], 1) == 0
    written = DefaultRecordBatch(bytes(batch._build()))
    assert [record.value for record in written] == [b"1", b"2", b"3"]
    assert (written.producer_id, written.base_sequence, batch.record_count()) == (7, 40, 3)


def test_what_finds_no_room_finds_none_later() -> None:
    batch = OpenBatch(200, 0)
    taken = batch.fill([message(bytes(50)) for _ in range(10)], 1)
    assert 0 < taken < 10
    assert batch.fill([message(b"")], 1) == 0
    assert [record.offset for record in DefaultRecordBatch(bytes(batch._build()))] == list(range(taken))


@pytest.mark.parametrize("codec", [0, DefaultRecordBatch.CODEC_ZSTD])
@pytest.mark.parametrize("read_first", [True, False])
def test_it_is_read_back_and_still_sent_as_it_was(codec: int, *, read_first: bool) -> None:
    messages = [(b"key", b"value", [("name", b"a"), ("none", b"")]), (None, b"", []), (b"gone", None, [("x", b"y")])]
    batch = OpenBatch(10_000, codec)
    assert batch.fill(messages, 5) == len(messages)
    if read_first:
        assert batch.messages() == messages
        assert batch.fill(messages, 5) == 0, "what was read back is given to others"
    batch._set_producer_state(2**40, 3, 77)
    written = DefaultRecordBatch(bytes(batch._build()))
    assert written.validate_crc()
    assert (written.producer_id, written.producer_epoch, written.base_sequence) == (2**40, 3, 77)
    assert [(record.key, record.value, record.headers) for record in written] == messages
    assert batch.messages() == messages
    assert batch.record_count() == len(messages)
