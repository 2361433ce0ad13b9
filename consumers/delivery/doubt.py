"""Purchases and refunds that the API may have taken although nobody said so."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from consumers.offsets.memory import TRANSACTION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from broker.interface import Record
    from consumers.delivery.batch import Batch
    from consumers.offsets.tracker import Tracker
    from consumers.report import Report
    from runtime.clock import Clock

REMEMBERED_SECONDS: Final = 24 * 3600.0
"""So long the API ignores a transaction id that it has seen (seed 003); sent again later, it counts twice."""

_TRANSACTIONS: Final = (("ce_type", b"ecommerce.purchase"), ("ce_type", b"ecommerce.refund"))


class Placed(Protocol):
    """A record, or only where it stands."""

    @property
    def topic(self) -> str:
        """Where it stands."""

    @property
    def partition(self) -> int:
        """Where it stands."""

    @property
    def offset(self) -> int:
        """Where it stands."""


class Place(NamedTuple):
    """Where a record stands that was not read yet."""

    topic: str
    partition: int
    offset: int


class Doubt:
    """Transactions that were sent without an answer: `since` when for the first time, in milliseconds since the epoch."""

    __slots__ = ("is_named", "since", "transactions")

    def __init__(self, transactions: Sequence[Placed], since: int) -> None:
        self.transactions = transactions
        self.since = since
        self.is_named = False

    def among(self, records: Iterable[Placed]) -> Doubt | None:
        """Return what of the doubt is about `records`; None when nothing is."""
        places = set(map(_place, records))
        mine = [each for each in self.transactions if _place(each) in places]
        if not mine:
            return None
        narrower = Doubt(mine, self.since)
        narrower.is_named = self.is_named
        return narrower


class _Inherited:
    """What an earlier owner of a partition left in doubt at one moment; the tracker knows what of it is still unfinished."""

    __slots__ = ("is_named", "tracker")

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.is_named = False

    def offsets(self, since: int) -> list[int]:
        """Return where the transactions stand that are unfinished."""
        doubted = self.tracker.doubts().get(since, {})
        return [offset for offset, mark in doubted.items() if mark == TRANSACTION]


class Doubts:
    """One storefront's. Each that is not settled within a day is named, once. Nothing here waits.

    They outlive this forwarder: what is in doubt is noted in the trackers, which write it beside the next commit; whoever has
    the partition next is told of it (`inherit`) before it reads the first record.
    """

    def __init__(self, topic: str, clock: Clock, report: Report) -> None:
        self._topic = topic
        self._clock = clock
        self._report = report
        self._open: set[Doubt] = set()
        # What was taken over and is not on its way yet, by partition and moment; and the first moment at which one's day is over.
        self._inherited: dict[tuple[int, int], _Inherited] = {}
        self._first_over = math.inf
        self._last = 0

    def about(self, batch: Batch, records: Sequence[Record], seconds: float) -> Doubt | None:
        """Return a doubt about the transactions among these `records` of `batch`, sent `seconds` ago, and note it; None without any."""
        transactions = _transactions(records)
        if not transactions:
            return None
        # No two requests share a moment: by it the next forwarder tells what was sent together.
        self._last = max(self._last + 1, int((self._clock.now() - seconds) * 1000))
        batch.doubt(self._last, records, set(map(_place, transactions)))
        return Doubt(transactions, self._last)

    def inherit(self, partition: int, tracker: Tracker) -> None:
        """Take over what an earlier owner of a partition left."""
        for since in tracker.doubts():
            inherited = self._inherited[partition, since] = _Inherited(tracker)
            places = self._places(partition, inherited.offsets(since))
            self._report.inherited_in_doubt(places, self._clock.now() - since / 1000)
        self._find_first()

    def claim(self, batch: Batch, records: Sequence[Record]) -> Doubt | None:
        """Return what was taken over about these `records` of `batch`, which is on its way now; None when there is nothing."""
        if batch.since is None:
            return None
        transactions = _transactions(records)
        doubt = Doubt(transactions, batch.since)
        places = set(map(_place, transactions))
        for partition in batch.partitions():
            inherited = self._inherited.get((partition, batch.since))
            if inherited is not None:
                doubt.is_named |= inherited.is_named
                if places.issuperset((partition, offset) for offset in inherited.offsets(batch.since)):
                    del self._inherited[partition, batch.since]
        self._find_first()
        return doubt if transactions else None

    def forget(self, partitions: Collection[int]) -> None:
        """Leave what was taken over of these partitions, and is not on its way, to whoever has them next."""
        self._inherited = {key: each for key, each in self._inherited.items() if key[0] not in partitions}
        self._find_first()

    def watch(self, doubt: Doubt | None) -> None:
        """Name `doubt` when its day is over, unless it is settled by then."""
        if doubt is not None:
            self._open.add(doubt)

    def settled(self, doubt: Doubt | None) -> None:
        """Watch it no longer."""
        if doubt is not None:
            self._open.discard(doubt)

    def left(self, doubt: Doubt | None) -> None:
        """Tell that whoever reads these records next is to settle it."""
        if doubt is not None:
            self._report.left_in_doubt(doubt.transactions, self._age(doubt))

    def look(self) -> None:
        """Name those whose day is over; to be called every now and then."""
        if not self._open and self._first_over == math.inf:
            return
        since = (self._clock.now() - REMEMBERED_SECONDS) * 1000
        for doubt in self._open:
            if doubt.since <= since and not doubt.is_named:
                doubt.is_named = True
                self._report.overdue(doubt.transactions)
        if self._first_over <= since:
            self._look_at_inherited(since)

    def _look_at_inherited(self, over: float) -> None:
        for (partition, since), inherited in self._inherited.items():
            if since <= over and not inherited.is_named:
                inherited.is_named = True
                # It may have been delivered in a batch with others.
                offsets = inherited.offsets(since)
                if offsets:
                    self._report.overdue(self._places(partition, offsets))
        self._find_first()

    def _find_first(self) -> None:
        moments = (since for (_, since), inherited in self._inherited.items() if not inherited.is_named)
        self._first_over = min(moments, default=math.inf)

    def _places(self, partition: int, offsets: Iterable[int]) -> list[Place]:
        return [Place(self._topic, partition, offset) for offset in offsets]

    def _age(self, doubt: Doubt) -> float:
        return self._clock.now() - doubt.since / 1000


def _transactions(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if any(each in record.headers for each in _TRANSACTIONS)]


def _place(record: Placed) -> tuple[int, int]:
    return record.partition, record.offset
