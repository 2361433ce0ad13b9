"""Purchases and refunds that the API may have taken although nobody said so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from consumers.memory import TRANSACTION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from broker.interface import Record
    from consumers.batch import Batch
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
        return self._about([each for each in self.transactions if _place(each) in places])

    def without(self, records: Iterable[Placed]) -> Doubt | None:
        """Return what of the doubt is about others than `records`; None when nothing is."""
        places = set(map(_place, records))
        return self._about([each for each in self.transactions if _place(each) not in places])

    def outside(self, partitions: Collection[int]) -> Doubt | None:
        """Return what of the doubt is about other partitions; None when nothing is."""
        return self._about([each for each in self.transactions if each.partition not in partitions])

    def _about(self, transactions: Sequence[Placed]) -> Doubt | None:
        if not transactions:
            return None
        narrower = Doubt(transactions, self.since)
        narrower.is_named = self.is_named
        return narrower


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
        # Of what was taken over and is not on its way yet.
        self._inherited: set[Doubt] = set()
        self._last = 0

    def about(self, batch: Batch, records: Sequence[Record], seconds: float) -> Doubt | None:
        """Return a doubt about the transactions among these `records` of `batch`, sent `seconds` ago, and note it; None without any."""
        transactions = [record for record in records if any(each in record.headers for each in _TRANSACTIONS)]
        if not transactions:
            return None
        # No two requests share a moment: by it the next forwarder tells what was sent together.
        self._last = max(self._last + 1, int((self._clock.now() - seconds) * 1000))
        batch.doubt(self._last, records, set(map(_place, transactions)))
        return Doubt(transactions, self._last)

    def inherit(self, partition: int, doubts: Mapping[int, Mapping[int, int]]) -> None:
        """Take over what an earlier owner of a partition left: as `Tracker.doubts` has it."""
        for since, offsets in doubts.items():
            places = [Place(self._topic, partition, offset) for offset, mark in offsets.items() if mark == TRANSACTION]
            doubt = Doubt(places, since)
            self._inherited.add(doubt)
            self._report.inherited_in_doubt(places, self._age(doubt))

    def claim(self, records: Sequence[Record]) -> Doubt | None:
        """Return what was taken over about `records`, which are on their way now; None when there is nothing."""
        if not self._inherited:
            return None
        claimed = [mine for doubt in self._inherited if (mine := doubt.among(records)) is not None]
        if not claimed:
            return None
        self._inherited = {rest for doubt in self._inherited if (rest := doubt.without(records)) is not None}
        oldest = min(claimed, key=lambda each: each.since)
        whole = Doubt([each for doubt in claimed for each in doubt.transactions], oldest.since)
        whole.is_named = oldest.is_named
        return whole

    def forget(self, partitions: Collection[int]) -> None:
        """Leave what was taken over of these partitions, and is not on its way, to whoever has them next."""
        self._inherited = {rest for doubt in self._inherited if (rest := doubt.outside(partitions)) is not None}

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
        if not self._open and not self._inherited:
            return
        since = (self._clock.now() - REMEMBERED_SECONDS) * 1000
        for doubt in (*self._open, *self._inherited):
            if doubt.since <= since and not doubt.is_named:
                doubt.is_named = True
                self._report.overdue(doubt.transactions)

    def _age(self, doubt: Doubt) -> float:
        return max(0.0, self._clock.now() - doubt.since / 1000)


def _place(record: Placed) -> tuple[int, int]:
    return record.partition, record.offset
