"""Kafka alone: a batch that takes records until it is numbered. No broker is needed for these."""

from __future__ import annotations

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
