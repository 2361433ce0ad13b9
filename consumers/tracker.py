"""Which records of one assigned partition are finished, and how far its group may therefore commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from broker.interface import Commit
from consumers.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.interface import Record

PENDING: Final = 0
DELIVERED: Final = 1
DEAD_LETTERED: Final = 2
MISSING: Final = 3
"""An offset that the log did not hand over: passed by, but in no tally, so that the audit shows it as unaccounted."""

RECORD_OVERHEAD: Final = 1_800
"""What a record weighs in memory beside its value, in bytes: the object, its key and six headers (measured on aiokafka's)."""

_TRIM_AT: Final = 16_384


class Tracker:
    """The finished offsets of one partition during one assignment. It does no I/O and never waits.

    Life: made when the partition is assigned → `add` as records are read → `settle` as they are finished, in any
    order → `commit`, and `committed` once that is written. At revocation it is dropped: whatever is settled later
    is settled in an object that nobody commits any more, so an acknowledgement of an old assignment never touches
    the next one's.

    `position` is the first offset that will be read, `tally` what is said of everything below it. One byte is kept
    per offset between the first unfinished one and the last read.
    """

    __slots__ = ("_committed", "_done", "_low", "_marks", "_pending", "_tally", "held")

    def __init__(self, position: int, tally: Tally) -> None:
        self._low = position
        self._marks = bytearray()
        self._done = 0
        self._tally = tally
        self._committed = position
        self._pending = 0
        self.held = 0
        """What was read and is not finished weighs so much in memory, in bytes."""

    @property
    def next_offset(self) -> int:
        """The offset that the next record should have."""
        return self._low + len(self._marks)

    @property
    def finished(self) -> int:
        """The first offset of this assignment, and one more for each that is finished, in whatever order."""
        return self.next_offset - self._pending

    @property
    def span(self) -> int:
        """How many offsets lie between the first unfinished one and the last read: what a restart would read again at most."""
        self._advance()
        return len(self._marks) - self._done

    def add(self, records: Sequence[Record], size: int) -> None:
        """Take note of records that were read, in the order of their offsets; an offset left out counts as missing.

        `size`: their values together, in bytes. They weigh twice that (as read, and in a request's body), and what comes
        with each. Raises ValueError, with nothing taken, when one was read before: the log would be going backwards.
        """
        expected = self.next_offset
        first, last = records[0].offset, records[-1].offset
        if first == expected and last - first == len(records) - 1:
            self._marks.extend(bytes(len(records)))
        else:
            marks = bytearray()
            for record in records:
                gap = record.offset - expected - len(marks)
                if gap < 0:
                    raise ValueError(f"offset {record.offset} was read again")
                marks.extend(bytes((MISSING,)) * gap)
                marks.append(PENDING)
            self._marks.extend(marks)
        self._pending += len(records)
        self.held += 2 * size + RECORD_OVERHEAD * len(records)

    def settle(self, records: Sequence[Record], mark: int) -> None:
        """Mark records that were added as finished: DELIVERED or DEAD_LETTERED. Each is settled once."""
        marks, low = self._marks, self._low
        for record in records:
            marks[record.offset - low] = mark
        # By the average: to weigh each record again would cost more than its place in the tally.
        self.held -= self.held * len(records) // self._pending
        self._pending -= len(records)

    def commit(self) -> Commit | None:
        """Return the place up to which everything is finished, with its tally; None when that was committed already."""
        self._advance()
        offset = self._low + self._done
        return Commit(offset, self._tally.encode()) if offset > self._committed else None

    def committed(self, offset: int) -> None:
        """Take note that a commit up to `offset` is written."""
        self._committed = max(self._committed, offset)

    def _advance(self) -> None:
        marks, start = self._marks, self._done
        end = marks.find(PENDING, start)
        if end < 0:
            end = len(marks)
        if end == start:
            return
        self._tally = Tally(
            self._tally.base,
            self._tally.delivered + marks.count(DELIVERED, start, end),
            self._tally.dead_lettered + marks.count(DEAD_LETTERED, start, end),
        )
        self._done = end
        if end >= _TRIM_AT:
            del marks[:end]
            self._low += end
            self._done = 0
