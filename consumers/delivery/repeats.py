"""What an earlier owner of a partition sent without an answer: it goes first of all, and together, as it was sent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from consumers.delivery.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from broker.interface import Record
    from consumers.offsets.tracker import Tracker

PATIENCE: Final = 2.0
"""How many seconds a storefront's other events wait until what goes before them is read. It stands near the beginning."""


class Repeats:
    """One storefront's, by the moment at which they were sent: what one request held is one batch again, as far as this forwarder
    has its partitions.

    Life: `expect` → `divert` what is read … → `take`, the oldest first. A record is diverted only while nobody holds its key and nothing
    earlier of its key waits: whatever was left by whomever, the order of a key is kept. Nothing here waits.
    """

    def __init__(self) -> None:
        # Places that are not read yet.
        self._awaited: dict[tuple[int, int], int] = {}
        self._batches: dict[int, Batch] = {}
        self._until = -math.inf

    def __bool__(self) -> bool:
        """Whether anything goes before what is new, or is waited for because it should."""
        return bool(self._awaited or self._batches)

    @property
    def is_awaiting(self) -> bool:
        """Whether some are not read yet."""
        return bool(self._awaited)

    def due_at(self) -> float:
        """Return when `take` should be called, on the clock of `expect`: long past when nothing is waited for."""
        return self._until if self._awaited else -math.inf

    def expect(self, partition: int, since: Mapping[int, int], now: float) -> None:
        """Take note that of a partition which begins to be read these offsets were sent, each at its moment."""
        if since:
            self._awaited |= {(partition, offset): moment for offset, moment in since.items()}
            self._until = now + PATIENCE

    def divert(
        self, records: Sequence[Record], waiting: Collection[bytes | None], holders: dict[bytes, Batch]
    ) -> Sequence[Record]:
        """Take out of `records`, which were read, what is expected; return the rest. `waiting`: the keys of what was read before and waits.
        The keys of what is taken are held from now on.
        """
        rest: list[Record] = []
        earlier = set(waiting)
        for record in records:
            moment = self._awaited.pop((record.partition, record.offset), None)
            if moment is None or not self._divert(record, moment, earlier, holders):
                rest.append(record)
                earlier.add(record.key)
        return rest

    def _divert(
        self, record: Record, moment: int, earlier: Collection[bytes | None], holders: dict[bytes, Batch]
    ) -> bool:
        batch = self._batches.get(moment) or Batch({}, since=moment)
        key = record.key
        if key is not None and holders.get(key) is not batch:
            if key in holders or key in earlier:
                return False
            holders[key] = batch
            batch.keys.append(key)
        batch.records.append(record)
        self._batches[moment] = batch
        return True

    def take(self, trackers: Mapping[int, Tracker]) -> Batch | None:
        """Return the oldest; None when there is none. What was not read by now is waited for no longer."""
        self._awaited.clear()
        if not self._batches:
            return None
        batch = self._batches.pop(min(self._batches))
        batch.trackers = trackers
        return batch

    def drop(self, partitions: Collection[int]) -> list[bytes]:
        """Forget what is of these partitions; return the keys that are held no longer."""
        self._awaited = {place: moment for place, moment in self._awaited.items() if place[0] not in partitions}
        free: list[bytes] = []
        for moment, batch in list(self._batches.items()):
            batch.records = [record for record in batch.records if record.partition not in partitions]
            held = {record.key for record in batch.records}
            free += [key for key in batch.keys if key not in held]
            batch.keys = [key for key in batch.keys if key in held]
            if not batch.records:
                del self._batches[moment]
        return free

    def waiting(self) -> Iterator[Record]:
        """Yield what was read and is not taken."""
        for batch in self._batches.values():
            yield from batch.records
