from __future__ import annotations

import orjson
import pytest

from consumers.delivery.batch import BODY_OVERHEAD, COMMA, Batch, body_of
from consumers.offsets.tally import Tally
from consumers.offsets.tracker import DELIVERED, Tracker
from tests.consumers.records import read, record


@pytest.mark.parametrize("values", [[b"{}"], [b'{"a": 1.10}', b'{"\\u00e9":"\xc3\xa9"}', b"[ ]"]])
def test_a_body_holds_the_events_byte_for_byte_and_is_as_long_as_was_reckoned(values: list[bytes]) -> None:
    body = body_of([record(offset, value=value) for offset, value in enumerate(values)])
    assert body == b'{"events":[' + b",".join(values) + b"]}"
    assert len(body) == BODY_OVERHEAD + sum(len(value) + COMMA for value in values)
    assert orjson.loads(body)["events"] == [orjson.loads(value) for value in values]


def test_records_are_settled_in_their_own_partitions() -> None:
    trackers = {0: Tracker(0, Tally(0)), 3: Tracker(10, Tally(10))}
    records = [record(0), record(10, partition=3), record(1), record(11, partition=3)]
    read(trackers[0], [records[0], records[2]])
    read(trackers[3], [records[1], records[3]])
    batch = Batch(trackers)
    batch.records += records
    assert batch.partitions() == {0, 3}
    batch.settle(records[:3], DELIVERED)
    commits = [trackers[number].commit() for number in (0, 3)]
    assert [commit and commit.offset for commit in commits] == [2, 11]
