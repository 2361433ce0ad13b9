"""The records of one storefront between the log and the ingestion API: which of them may travel now, in which batch."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from consumers.delivery.batch import BODY_OVERHEAD, COMMA, Batch
from consumers.delivery.deletions import deletion_of
from consumers.delivery.repeats import Repeats
from consumers.letters.letter import REPLAYED_FROM
from schemas.cloudevents import DELETION_START

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from broker.interface import Record
    from consumers.offsets.tracker import Tracker


class Lane:
    """Makes batches so that many may be in flight while the records of each key arrive in their order (G3).

    A batch takes records in the order they were read. A record whose key is in another batch in flight is parked
    behind that key; when the batch is released, what was parked for its keys travels before anything newer.
    Records without a key are never parked. A deletion of a user has a batch of its own, in its place among the
    records of its key. Every record is moved at most twice, so a hot key costs no more than others. What an earlier
    owner of a partition left in doubt goes before everything (`Repeats`). No I/O, no clock of its own; not thread-safe.

    Life: `assign` partitions → `add` records → `take` a batch at `due_at` → perhaps `release_finished` when some of it
    is → `release` it when all of it is finished, or given up.

    `max_events` and `max_bytes` bound a batch (one event above `max_bytes` travels alone), `max_wait` is how many
    seconds a record waits for others to share its batch.
    """

    def __init__(self, *, max_events: int, max_bytes: int, max_wait: float) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._max_wait = max_wait
        self._trackers: dict[int, Tracker] = {}
        self._ready: deque[Record] = deque()
        # When how much had been read: pairs of the count of all records ever added and the moment.
        self._arrivals: deque[tuple[int, float]] = deque()
        self._added = 0
        # What is light is not weighed: any `max_events` of what waits find room. To look at each value once more, when it has grown
        # cold, takes longer than everything else that is done with it here.
        self._lightest_heavy = (max_bytes - BODY_OVERHEAD) // max_events
        self._is_heavy = False
        self._ready_bytes = 0
        # A key is here while a batch in flight holds it (that batch), or while what was parked for it awaits its turn (`_NO_BATCH`).
        self._holders: dict[bytes, Batch] = {}
        self._parked: dict[bytes, list[Record]] = {}
        self._returning: deque[bytes] = deque()
        self._repeats = Repeats()
        # Partition and offset of those that are in no batch.
        self._deletions: set[tuple[int, int]] = set()
        self._replays: set[tuple[int, int]] = set()

    @property
    def trackers(self) -> Mapping[int, Tracker]:
        """The assigned partitions' trackers, by partition."""
        return self._trackers

    @property
    def ready(self) -> int:
        """How many records wait to be taken, parked ones apart."""
        return len(self._ready)

    @property
    def is_awaiting(self) -> bool:
        """Whether something goes before everything that is not read yet."""
        return self._repeats.is_awaiting

    def assign(self, trackers: Mapping[int, Tracker], now: float = 0.0) -> None:
        """Take on partitions. What is in flight keeps the trackers it has. `now`: as for `add`."""
        self._trackers = self._trackers | dict(trackers)
        for partition, tracker in trackers.items():
            for since, offsets in tracker.doubts().items():
                self._repeats.expect(partition, dict.fromkeys(offsets, since), now)

    def add(self, partition: int, records: Sequence[Record], now: float) -> int:
        """Take records that were read from an assigned partition, in their order; return how many are not finished already. `now`:
        seconds on a monotonic clock.
        """
        values = [record.value or b"" for record in records]
        sizes = list(map(len, values))
        unfinished = self._trackers[partition].add(records, sum(sizes))
        if unfinished is not records:
            records = unfinished
            values = [record.value or b"" for record in records]
            sizes = list(map(len, values))
        if not records:
            return 0
        # Of nearly all records the first bytes and the last header say that they are nothing special. Fresh from the log the
        # headers are still near at hand; when the batch is made it would take four times as long.
        for record in [
            record
            for record, value in zip(records, values, strict=True)
            if value.startswith(DELETION_START) or ((headers := record.headers) and headers[-1][0] == REPLAYED_FROM)
        ]:
            place = (partition, record.offset)
            if deletion_of(record) is not None:
                self._deletions.add(place)
            if record.headers and record.headers[-1][0] == REPLAYED_FROM:
                self._replays.add(place)
        taken = len(records)
        if self._repeats.is_awaiting:
            records = self._repeats.divert(records, {record.key for record in self._ready}, self._holders)
            sizes = [len(record.value or b"") for record in records]
        if not records:
            return taken
        self._ready.extend(records)
        self._added += len(records)
        self._arrivals.append((self._added, now))
        if self._is_heavy:
            self._ready_bytes += sum(sizes) + COMMA * len(records)
        elif max(sizes) + COMMA > self._lightest_heavy:
            self._is_heavy = True
            self._ready_bytes = _size(self._ready)
        return taken

    def due_at(self) -> float | None:
        """Return when a batch should be taken, on the clock of `add`; None without records that may travel.

        It is long past when there is enough for a full batch, or when parked records have come back: those
        have waited already. While it is not read yet what goes before everything, that is waited for.
        """
        if self._repeats:
            return self._repeats.due_at()
        enough = len(self._ready) >= self._max_events or (self._is_heavy and self._ready_bytes >= self._max_bytes)
        if enough or self._returning:
            return float("-inf")
        return self._arrivals[0][1] + self._max_wait if self._ready else None

    def take(self) -> Batch | None:
        """Return the next batch, its keys held from now on; None when nothing may travel at present."""
        batch = (self._repeats.take(self._trackers) if self._repeats else None) or self._next()
        if self._deletions or self._replays:
            places = {(record.partition, record.offset) for record in batch.records}
            batch.replays = not self._replays.isdisjoint(places)
            self._replays -= places
            self._deletions -= places
        if not self._ready and not self._parked:
            self._is_heavy = False
        return batch if batch.records else None

    def release(self, batch: Batch) -> None:
        """Let go of the batch's keys: whatever was parked for them may travel."""
        self._let_go(batch.keys)

    def release_finished(self, batch: Batch, unfinished: Iterable[Record]) -> None:
        """Let go of those of the batch's keys of which nothing is left among its `unfinished` records."""
        held = {record.key for record in unfinished}
        self._let_go([key for key in batch.keys if key not in held])
        batch.keys = [key for key in batch.keys if key in held]

    def _let_go(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            parked = self._parked.get(key)
            if parked is None:
                del self._holders[key]
            else:
                self._holders[key] = _NO_BATCH
                self._returning.append(key)

    def drop(self, partitions: Collection[int]) -> None:
        """Forget what was read of these partitions and is in no batch, and their trackers. Batches in flight go on holding their keys."""
        gone = frozenset(partitions)
        self._deletions = {each for each in self._deletions if each[0] not in gone}
        self._replays = {each for each in self._replays if each[0] not in gone}
        self._let_go(self._repeats.drop(gone))
        self._trackers = {number: tracker for number, tracker in self._trackers.items() if number not in gone}
        oldest = self._arrivals[0][1] if self._arrivals else 0.0
        self._ready = deque(record for record in self._ready if record.partition not in gone)
        if self._is_heavy:
            self._ready_bytes = _size(self._ready)
        self._arrivals = deque([(self._added, oldest)] if self._ready else [])
        for key, parked in list(self._parked.items()):
            parked[:] = [record for record in parked if record.partition not in gone]
            if not parked:
                del self._parked[key]
                if self._holders[key] is _NO_BATCH:
                    del self._holders[key]
        self._returning = deque(key for key in self._returning if key in self._parked)

    def waiting(self) -> Iterator[Record]:
        """Yield every record that is in no batch, in no particular order."""
        yield from self._repeats.waiting()
        yield from self._ready
        for parked in self._parked.values():
            yield from parked

    def _next(self) -> Batch:
        """Return a batch of what may travel at present, its keys held from now on; perhaps there is nothing in it."""
        batch = Batch(self._trackers)
        room, divided = self._take_returning(batch)
        self._take_ready(batch, room)
        for key in divided:
            self._holders[key] = batch
        return batch

    def _take_returning(self, batch: Batch) -> tuple[int, list[bytes]]:
        """Take what was parked for released keys.

        Returns how many bytes the batch has left, and the keys of which it had no place for everything: until the
        batch is complete they count as awaiting their turn, so that nothing newer of theirs slips in behind a gap.
        """
        room = self._max_bytes - BODY_OVERHEAD
        divided: list[bytes] = []
        taken, returning, waiting, holders = batch.records, self._returning, self._parked, self._holders
        while returning and (free := self._max_events - len(taken)):
            key = returning[0]
            parked = waiting[key]
            count = len(parked)
            # Nearly always there is place for all of it.
            size = _size(parked) if self._is_heavy else 0
            if count > free or size > room or self._deletions:
                count, size = self._fitting(parked, free, room, anything=bool(taken))
                if count == 0:
                    break
            room -= size
            if count == len(parked):
                taken += parked
                del waiting[key]
                holders[key] = batch
            else:
                taken += parked[:count]
                del parked[:count]
                divided.append(key)
            returning.popleft()
            batch.keys.append(key)
        return room, divided

    def _fitting(self, parked: Sequence[Record], free: int, room: int, *, anything: bool) -> tuple[int, int]:
        """Return how many of the first parked records find a place in a batch that holds something or not, and their bytes there."""
        count = total = 0
        for record in islice(parked, free):
            size = self._room_of(record)
            if total + size > room and (anything or count):
                break
            total += size
            count += 1
        return count, total

    def _take_ready(self, batch: Batch, room: int) -> None:
        """Take records as they were read, parking those whose key is held, until the batch is full."""
        ready, holders, waiting = self._ready, self._holders, self._parked
        taken, keys, is_heavy, has_deletions = batch.records, batch.keys, self._is_heavy, bool(self._deletions)
        free = self._max_events - len(taken)
        gone = 0
        while free and ready:
            record = ready.popleft()
            key = record.key
            size = len(record.value or b"") + COMMA if is_heavy else 0
            holder = None if key is None else holders.get(key)
            if key is not None and holder is not None and holder is not batch:
                if (parked := waiting.get(key)) is not None:
                    parked.append(record)
                else:
                    waiting[key] = [record]
                gone += size
                continue
            need = self._room_of(record) if has_deletions else size
            if need > room and taken:
                ready.appendleft(record)
                break
            if holder is None and key is not None:
                holders[key] = batch
                keys.append(key)
            taken.append(record)
            room -= need
            gone += size
            free -= 1
        self._ready_bytes -= gone
        passed = self._added - len(ready)
        while self._arrivals and self._arrivals[0][0] <= passed:
            self._arrivals.popleft()

    def _room_of(self, record: Record) -> int:
        """Return how many bytes of a batch the record takes: a deletion takes them all, before it and behind it."""
        if self._deletions and (record.partition, record.offset) in self._deletions:
            return _WHOLE_BATCH
        return len(record.value or b"") + COMMA


def _size(records: Iterable[Record]) -> int:
    """Return how many bytes of a body the records take."""
    size = 0
    for record in records:
        size += len(record.value or b"") + COMMA
    return size


_WHOLE_BATCH = 2**62
_NO_BATCH = Batch({})
"""Stands for the batch that will take what was parked for a key."""
