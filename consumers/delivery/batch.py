"""A batch: records of one storefront that travel to the ingestion API in one request."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import orjson

from consumers.offsets.memory import SENT, TRANSACTION

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from broker.interface import Record
    from consumers.offsets.tracker import Tracker

_ENVELOPE: Final = len(b'{"events":[]}')
COMMA: Final = len(b",")
BODY_OVERHEAD: Final = _ENVELOPE - COMMA
"""A body has this many bytes more than its values with a comma after each."""


def body_of(records: Sequence[Record]) -> bytes:
    """Return the request body for `records`: their values byte for byte as they were sent to the gateway, in order."""
    return orjson.dumps({"events": [orjson.Fragment(record.value or b"") for record in records]})


class Batch:
    """Records in the order in which they are to arrive; of one key possibly several.

    `keys` are those that no other batch in flight holds while something of them here is unfinished. `trackers` are the partitions' as
    they were when the batch was made: after a revocation they are still these, and nobody commits them any more. `replays`:
    whether there are dead letters among the records that were replayed. `since`: when an earlier forwarder sent these very records
    without an answer, in milliseconds since the epoch; None nearly always.
    """

    __slots__ = ("keys", "records", "replays", "since", "trackers")

    def __init__(self, trackers: Mapping[int, Tracker], since: int | None = None) -> None:
        self.records: list[Record] = []
        self.keys: list[bytes] = []
        self.replays = False
        self.trackers = trackers
        self.since = since

    def settle(self, records: Sequence[Record], mark: int) -> None:
        """Mark some of this batch's records as finished in the trackers of their partitions; each record once."""
        for partition, run in groupby(records, _PARTITION):
            self.trackers[partition].settle(list(run), mark)

    def doubt(self, since: int, records: Sequence[Record], transactions: Collection[tuple[int, int]]) -> None:
        """Note in the trackers that these of its records were sent without an answer at `since`, in milliseconds since the epoch, and which
        of them, by partition and offset, are transactions.
        """
        for partition, run in groupby(sorted(records, key=_PARTITION), _PARTITION):
            marks = {each.offset: TRANSACTION if (partition, each.offset) in transactions else SENT for each in run}
            self.trackers[partition].doubt(since, marks)

    def partitions(self) -> set[int]:
        """Return which partitions the records came from."""
        return set(map(_PARTITION, self.records))


_PARTITION = attrgetter("partition")
