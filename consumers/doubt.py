"""Purchases and refunds that the API may have taken although nobody said so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.interface import Record
    from consumers.report import Report
    from runtime.clock import Clock

REMEMBERED_SECONDS: Final = 24 * 3600.0
"""So long the API ignores a transaction id that it has seen (seed 003); sent again later, it counts twice."""

_TRANSACTIONS: Final = (("ce_type", b"ecommerce.purchase"), ("ce_type", b"ecommerce.refund"))


class Doubt:
    """Transactions that were sent without an answer: `since` when, on the monotonic clock, for the first time."""

    __slots__ = ("is_named", "records", "since")

    def __init__(self, records: Sequence[Record], since: float) -> None:
        self.records = records
        self.since = since
        self.is_named = False

    def among(self, records: Sequence[Record]) -> Doubt | None:
        """Return what of the doubt is about `records`; None when nothing is."""
        places = {(record.partition, record.offset) for record in records}
        mine = [record for record in self.records if (record.partition, record.offset) in places]
        if not mine:
            return None
        narrower = Doubt(mine, self.since)
        narrower.is_named = self.is_named
        return narrower


class Doubts:
    """One storefront's. Each that is not settled within a day is named, once. Nothing here waits."""

    def __init__(self, clock: Clock, report: Report) -> None:
        self._clock = clock
        self._report = report
        self._open: set[Doubt] = set()

    def about(self, records: Sequence[Record], since: float) -> Doubt | None:
        """Return a doubt about the transactions among `records`, sent at `since`; None when there are none."""
        transactions = [record for record in records if any(each in record.headers for each in _TRANSACTIONS)]
        return Doubt(transactions, since) if transactions else None

    def watch(self, doubt: Doubt | None) -> None:
        """Name `doubt` when its day is over, unless it is settled by then."""
        if doubt is not None:
            self._open.add(doubt)

    def settled(self, doubt: Doubt | None) -> None:
        """Watch it no longer."""
        if doubt is not None:
            self._open.discard(doubt)

    def left(self, doubt: Doubt | None) -> None:
        """Tell that whoever reads these records next is to settle it, and knows nothing of it."""
        if doubt is not None:
            self._report.left_in_doubt(doubt.records, self._clock.monotonic() - doubt.since)

    def look(self) -> None:
        """Name those whose day is over; to be called every now and then."""
        if not self._open:
            return
        since = self._clock.monotonic() - REMEMBERED_SECONDS
        for doubt in self._open:
            if doubt.since <= since and not doubt.is_named:
                doubt.is_named = True
                self._report.overdue(doubt.records)
