"""What a member has read ahead: bounded per partition and in all, fetched in short reads."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from broker.embedded.fetch import Fetched, Wanted
from broker.embedded.wake import EVERYTHING, mark
from broker.interface import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from broker.embedded.chunk import StoredRecord
    from broker.embedded.directory import LogFile
    from broker.embedded.readers import Readers
    from broker.interface import TopicPartition

# Read-ahead of one partition, and of all together, in bytes as they lie in the log; decoded they take about three times that.
_RECORDS: Final = 1_000
_PARTITION_BYTES: Final = 1024 * 1024
_TOTAL_BYTES: Final = 8 * 1024 * 1024


class Lane:
    """One owned partition: what is read ahead, and where to go on."""

    __slots__ = ("_pieces", "fetching", "file", "id", "may_have_more", "next_offset", "partition", "records", "size")

    def __init__(self, file: LogFile, partition_id: int, partition: TopicPartition, offset: int) -> None:
        self.file = file
        self.id = partition_id
        self.partition = partition
        self.next_offset = offset
        self.may_have_more = True
        self.fetching = False
        self.records = 0
        self.size = 0
        self._pieces: deque[tuple[list[StoredRecord], int]] = deque()

    def add(self, fetched: Fetched) -> None:
        """Take in what was fetched."""
        self.next_offset = fetched.next_offset
        # A writer may have woken this lane while the read was under way.
        self.may_have_more |= fetched.more
        if fetched.records:
            self._pieces.append((fetched.records, fetched.size))
            self.records += len(fetched.records)
            self.size += fetched.size

    def take(self, room: int) -> list[StoredRecord]:
        """Return up to `room` records, in their order."""
        taken: list[StoredRecord] = []
        while self._pieces and room > 0:
            records, size = self._pieces.popleft()
            if len(records) > room:
                rest, rest_size = records[room:], size * (len(records) - room) // len(records)
                self._pieces.appendleft((rest, rest_size))
                records, size = records[:room], size - rest_size
            taken = taken + records if taken else records
            room -= len(records)
            self.size -= size
        self.records -= len(taken)
        return taken


class Prefetch:
    """Life: construct in the event loop → `add`, `take`, `remove` … → `close`. `filled` is called when there may be something to take, or
    an `error` to raise.
    """

    def __init__(self, readers: Readers, filled: Callable[[], None]) -> None:
        self._readers = readers
        self._filled = filled
        self._lanes: dict[TopicPartition, Lane] = {}
        self._by_mark: dict[int, Lane] = {}
        self._size = 0
        self._fetches: dict[LogFile, asyncio.Task[None]] = {}
        self._error: BrokerError | None = None

    def add(self, file: LogFile, partition_id: int, partition: TopicPartition, offset: int) -> None:
        """Begin to read a partition at `offset`."""
        lane = Lane(file, partition_id, partition, offset)
        self._lanes[partition] = self._by_mark[mark(file, partition_id)] = lane

    def remove(self, partition: TopicPartition) -> None:
        """Forget a partition and what was read ahead of it. Harmless when it was not there."""
        lane = self._lanes.pop(partition, None)
        if lane is not None:
            self._by_mark.pop(mark(lane.file, lane.id))
            self._size -= lane.size

    def woken(self, marks: Collection[int]) -> None:
        """Note which partitions may have new records."""
        lanes = self._by_mark.values() if EVERYTHING in marks else map(self._by_mark.get, marks)
        found = [lane for lane in lanes if lane is not None]
        for lane in found:
            lane.may_have_more = True
        if found:
            self._filled()

    def take(
        self, partitions: Collection[TopicPartition] | None, room: int
    ) -> dict[TopicPartition, list[StoredRecord]]:
        """Return up to `room` records of the partitions (None: of all) that are there, and read on ahead of those. Does not wait. Raises
        the error that a read ended with.
        """
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        wanted = list(self._lanes.values()) if partitions is None else self._of(partitions)
        taken: dict[TopicPartition, list[StoredRecord]] = {}
        for lane in wanted:
            if lane.records and room > 0:
                before = lane.size
                taken[lane.partition] = records = lane.take(room)
                room -= len(records)
                self._size += lane.size - before
                # Whoever was served goes to the end of the queue.
                self._lanes[lane.partition] = self._lanes.pop(lane.partition)
        self._read_ahead(wanted)
        return taken

    async def close(self) -> None:
        """Forget everything; wait for the reads that run."""
        self._lanes.clear()
        self._by_mark.clear()
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)

    def _of(self, partitions: Iterable[TopicPartition]) -> list[Lane]:
        asked = set(partitions)
        return [lane for partition, lane in self._lanes.items() if partition in asked]

    def _read_ahead(self, wanted: Iterable[Lane]) -> None:
        """Start one read per file for the lanes that run low."""
        low: dict[LogFile, list[Lane]] = {}
        for lane in wanted:
            full = lane.records >= _RECORDS // 2 or lane.size >= _PARTITION_BYTES // 2
            # One partition that nobody takes from must not keep the others from being read.
            crowded = self._size >= _TOTAL_BYTES and lane.records
            if lane.may_have_more and not full and not crowded and lane.file not in self._fetches:
                low.setdefault(lane.file, []).append(lane)
        for file, lanes in low.items():
            self._fetches[file] = asyncio.get_running_loop().create_task(self._fetch(file, lanes), name="read ahead")

    async def _fetch(self, file: LogFile, lanes: list[Lane]) -> None:
        share = max(1, min(_PARTITION_BYTES, (_TOTAL_BYTES - self._size) // len(lanes)))
        wanted = [Wanted(lane.id, lane.partition, lane.next_offset, _RECORDS - lane.records, share) for lane in lanes]
        for lane in lanes:
            lane.may_have_more = False
        try:
            fetched = await self._readers.fetch(file, wanted)
        except BrokerError as error:
            self._error = error
            for lane in lanes:
                lane.may_have_more = True
        else:
            for lane, its in zip(lanes, fetched, strict=True):
                # It may have been given away, and even regained, in the meantime.
                if self._lanes.get(lane.partition) is lane:
                    lane.add(its)
                    self._size += its.size if its.records else 0
        finally:
            del self._fetches[file]
        self._filled()
