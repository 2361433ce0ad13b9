"""What aiokafka's consumers fetched, handed out in runs instead of record by record (0.14)."""

from __future__ import annotations

import sys
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiokafka.structs import TopicPartition


class FetchedRecord(msgspec.Struct, gc=False):
    """A record as read: a `broker.interface.Record`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Records(PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    """What was fetched of one partition. Life: `take` … until it returns fewer than it was asked for."""

    next_fetch_offset: int

    def __init__(self, tp: TopicPartition, *arguments: Any) -> None:
        super().__init__(tp, *arguments)
        # It refers back to this object, and both would keep the whole answer until the next look for garbage.
        self._records_iterator = None
        self._batch: Any = None
        self._left: Iterator[Any] = iter(())

    def take(self, most: int | None) -> list[FetchedRecord]:
        """Return the next records, at most so many. Raises CorruptRecordException for a batch whose checksum is not its own."""
        found: list[FetchedRecord] = []
        while most is None or len(found) < most:
            if self._batch is None:
                self._batch = self._next_batch()
                if self._batch is None:
                    break
                # A batch can be asked for an iterator only once; this one can be asked again.
                self._left = chain(self._batch)
            found += self._take_of_batch(None if most is None else most - len(found))
        return found

    def _take_of_batch(self, most: int | None) -> list[FetchedRecord]:
        topic, partition = self._tp
        position = self.next_fetch_offset
        run = [
            FetchedRecord(topic, partition, record.offset, record.timestamp, record.key, record.value, record.headers)
            for record in islice(self._left, most)
        ]
        if len(run) == most:
            self.next_fetch_offset = max(position, run[-1].offset + 1)
        else:
            # The last of a batch may have been compacted away.
            self.next_fetch_offset = max(position, self._batch.next_offset)
            self._batch = None
        if run and run[0].offset < position:
            # A batch comes whole, also when the position is within it.
            run = [record for record in run if record.offset >= position]
        return run

    def _next_batch(self) -> Any:
        """Return the next batch that holds records for readers; None when there is none left."""
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            if not self._is_aborted(batch) and not batch.is_control_batch:
                return batch
            self.next_fetch_offset = batch.next_offset
        return None

    def _is_aborted(self, batch: Any) -> bool:
        """Say whether the batch is of a transaction that came to nothing, and take note of the end of such a one."""
        if self._isolation_level != READ_COMMITTED or batch.producer_id is None:
            return False
        self._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and self._contains_abort_marker(batch):
            self._aborted_producers.discard(batch.producer_id)
        return bool(batch.is_transactional) and batch.producer_id in self._aborted_producers


class _Result(FetchResult):  # type: ignore[misc]  # aiokafka ships no types
    """The answer to one fetch of one partition."""

    _partition_records: Records | None

    def getall(self, max_records: int | None = None) -> list[FetchedRecord]:
        if not self.check_assignment(self._topic_partition) or self._partition_records is None:
            return []
        found = self._partition_records.take(max_records)
        self._update_position()
        if max_records is None or len(found) < max_records:
            self._partition_records = None
        return found


def with_lean_records() -> None:
    """Have aiokafka's consumers hand out records that say what ours say, in runs: three calls for each record, and four things
    that nobody asks for, took half of all that reading costs. `getone` and iteration are not served.
    """
    fetcher: Any = sys.modules[PartitionRecords.__module__]
    fetcher.PartitionRecords = Records
    fetcher.FetchResult = _Result
