"""Which records of one assigned partition are finished, and how far its group may therefore commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from broker.interface import Commit
from consumers.offsets.memory import METADATA_BYTES, TRANSACTION, Remembered, beside
from consumers.offsets.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from broker.interface import Record
    from consumers.offsets.memory import Buried

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

    `position` is the first offset that will be read, `tally` what is said of everything below it, `before` what an
    earlier owner of the partition left of what comes from there on. One byte is kept per offset between the first unfinished
    one and the last read.

    An offset that is missing is left to the next owner to miss: should its log have it after all, it is delivered.
    """

    __slots__ = (
        "_ahead",
        "_done",
        "_doubted",
        "_doubts",
        "_low",
        "_marks",
        "_offered",
        "_pending",
        "_tally",
        "_written",
        "held",
    )

    def __init__(self, position: int, tally: Tally, before: Remembered = Remembered()) -> None:  # noqa: B008 - it does not change
        self._low = position
        self._marks = bytearray()
        # Of what is not read yet.
        self._ahead = before.finished
        # By the moment: what was sent without an answer, and how often that was noted.
        self._doubts = {since: _by_offset(marks, position) for since, marks in before.doubts.items()}
        self._doubted = 0
        self._done = 0
        self._tally = tally
        self._pending = 0
        # What is committed, and what was to be: up to where, how much was finished in all, how many doubts were noted.
        self._written = self._offered = (position, position, 0)
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
        """How many offsets lie between the first unfinished one and the last read: what the next owner would read again at most."""
        self._advance()
        return len(self._marks) - self._done

    def add(self, records: Sequence[Record], size: int) -> Sequence[Record]:
        """Take note of records that were read, in the order of their offsets; an offset left out counts as missing.

        Returns those that are to be delivered: `records` itself, unless an earlier owner finished some of them. `size`: their
        values together, in bytes. They weigh twice that (as read, and in a request's body), and what comes with each. Raises
        ValueError, with nothing taken, when one was read before: the log would be going backwards.
        """
        expected = self.next_offset
        first, last = records[0].offset, records[-1].offset
        count = len(records)
        weight = 2 * size + RECORD_OVERHEAD * count
        if first == expected and last - first == count - 1 and not self._ahead:
            self._marks.extend(bytes(count))
        else:
            marks = _marks_of(records, expected)
            if self._ahead:
                records = self._without_finished(records, marks, expected)
                weight = weight * len(records) // count
            self._marks.extend(marks)
        self._pending += len(records)
        self.held += weight
        return records

    def settle(self, records: Sequence[Record], mark: int) -> None:
        """Mark records that were added as finished: DELIVERED or DEAD_LETTERED. Each is settled once."""
        marks, low = self._marks, self._low
        for record in records:
            marks[record.offset - low] = mark
        # By the average: to weigh each record again would cost more than its place in the tally.
        self.held -= self.held * len(records) // self._pending
        self._pending -= len(records)

    @property
    def is_due(self) -> bool:
        """Whether anything was finished since the last commit, be it above the offset that can be committed."""
        self._advance()
        return (self._low + self._done, self.finished, self._doubted) != self._written

    def commit(self, room: int = METADATA_BYTES, buried: Buried | None = None) -> Commit | None:
        """Return the place up to which everything is finished, with its tally and, as far as `room` bytes take that, what is finished
        and what is in doubt above it, and what the storefront's limit of dead letters has counted; None when that was committed already.
        """
        if not self.is_due:
            return None
        offset = self._low + self._done
        self._offered = (offset, self.finished, self._doubted)
        finished = bytes(self._marks[self._done :]) + self._ahead
        doubts = {since: _marks_from(offset, offsets) for since, offsets in self.doubts().items()}
        return Commit(offset, beside(offset, self._tally, Remembered(finished, doubts, buried), room))

    def committed(self) -> None:
        """Take note that the commit that was returned last is written."""
        self._written = self._offered

    def doubt(self, since: int, offsets: Mapping[int, int]) -> None:
        """Take note that these were sent together without an answer at `since`, in milliseconds since the epoch: as what
        (SENT, TRANSACTION), by offset. That is remembered until all transactions among them are finished.
        """
        self._doubts.setdefault(since, {}).update(offsets)
        self._doubted += 1

    def doubts(self) -> Mapping[int, Mapping[int, int]]:
        """Return what is in doubt, by its moment: as `doubt` was told, without what is finished."""
        if self._doubts:
            left = {since: self._unfinished(offsets) for since, offsets in self._doubts.items()}
            self._doubts = {since: offsets for since, offsets in left.items() if TRANSACTION in offsets.values()}
        return self._doubts

    def _unfinished(self, offsets: Mapping[int, int]) -> dict[int, int]:
        low, marks = self._low, bytes(self._marks) + self._ahead
        return {
            offset: mark
            for offset, mark in offsets.items()
            if offset >= low and (offset - low >= len(marks) or marks[offset - low] == PENDING)
        }

    def _without_finished(self, records: Sequence[Record], marks: bytearray, first: int) -> Sequence[Record]:
        """Put what an earlier owner finished into the `marks` of offsets from `first` on; return the records that are left."""
        known, self._ahead = self._ahead[: len(marks)], self._ahead[len(marks) :]
        for index, mark in enumerate(known):
            if mark != PENDING:
                marks[index] = mark
        return [record for record in records if marks[record.offset - first] == PENDING]

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


def _marks_of(records: Sequence[Record], expected: int) -> bytearray:
    """Return the marks of offsets from `expected` to the last of the records."""
    marks = bytearray()
    for record in records:
        gap = record.offset - expected - len(marks)
        if gap < 0:
            raise ValueError(f"offset {record.offset} was read again")
        marks.extend(bytes((MISSING,)) * gap)
        marks.append(PENDING)
    return marks


def _by_offset(marks: bytes, first: int) -> dict[int, int]:
    return {first + index: mark for index, mark in enumerate(marks) if mark}


def _marks_from(first: int, offsets: Mapping[int, int]) -> bytes:
    marks = bytearray(max(offsets) + 1 - first)
    for offset, mark in offsets.items():
        marks[offset - first] = mark
    return bytes(marks)
