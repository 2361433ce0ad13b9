"""An index of the dead letters: which there are, what became of each, in which order they go on. Small in memory, however many they are."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from zlib import crc32

from consumers.letters.dead_letters import Reason
from consumers.letters.letter import Letter, Origin, Place, Settled, Settlement
from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

CACHE_KIB: Final = 16 * 1024
"""So much of it is in memory; SQLite keeps the rest in a file that nobody else sees, and that is gone with the process."""
RECORD_BYTES: Final = 2 * 1024
"""What a letter weighs in memory beside its value."""

_OFFSETS: Final = 1 << 45
"""A place is one number: the partition times this, and the offset."""
_PARTITIONS: Final = 1 << 17

# `lane`: letters with the same one may have the same key; the keyless have each their own. `position`: the origin's offset.
# `events`: of each event the first letter that is wanted. With one MIN in a query, SQLite takes the other columns from that row.
_SCHEMA: Final = """
CREATE TABLE letters (
    place INTEGER PRIMARY KEY, topic INTEGER, partition INTEGER, position INTEGER, lane INTEGER, storefront INTEGER,
    at INTEGER, size INTEGER, deletion INTEGER, wanted INTEGER, outcome TEXT, settled_at INTEGER
);
CREATE TABLE queue (turn INTEGER PRIMARY KEY, place INTEGER);
CREATE VIEW events AS
SELECT MIN(CASE WHEN wanted THEN place END) AS place, topic, partition, position, lane, at, COUNT(outcome) AS settled
FROM letters GROUP BY topic, partition, position HAVING SUM(wanted) > 0;
"""
_ADD: Final = "INSERT OR IGNORE INTO letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SETTLE: Final = "UPDATE letters SET outcome = ?, settled_at = ? WHERE place = ?"
_LISTED: Final = """
INSERT INTO queue (place) SELECT place FROM (
    SELECT place, at FROM events WHERE settled = 0 OR ? ORDER BY at DESC, place DESC LIMIT ?
) ORDER BY at, place
"""
# As they stand in the topic, which is nearly always each key's order; where it is not, whoever was accepted earlier goes first.
_TO_SETTLE: Final = """
INSERT INTO queue (place) SELECT place FROM (
    SELECT place, position, MAX(place) OVER (PARTITION BY topic, partition, lane ORDER BY position) AS due
    FROM (SELECT * FROM events WHERE settled = 0 ORDER BY at, place LIMIT ?)
) ORDER BY due, position
"""
_QUEUED: Final = """
SELECT turn, place, topic, partition, position, storefront, at, size,
    (SELECT group_concat(place) FROM letters AS other WHERE other.topic = letters.topic
        AND other.partition = letters.partition AND other.position = letters.position)
FROM queue JOIN letters USING (place) WHERE turn > ? ORDER BY turn
"""
_COUNTED: Final = "SELECT storefront, COUNT(*), SUM(deletion) FROM queue JOIN letters USING (place) GROUP BY storefront"
_WHAT_BECAME: Final = """
SELECT outcome, settled_at FROM letters WHERE topic = ? AND partition = ? AND position = ? AND outcome IS NOT NULL
ORDER BY settled_at DESC LIMIT 1
"""


class Entry(NamedTuple):
    """What is remembered of a dead letter. `copies`: all places at which its event's letters stand, its own among them. `at`: when it was
    written, in Unix milliseconds; `size`: of its value. `settled`: what became of the event, whichever of its letters was settled.
    """

    place: Place
    origin: Origin
    copies: Sequence[Place]
    storefront: str
    at: int
    size: int
    settled: Settlement | None


class LetterIndex:
    """Life: `add` … → `queue_listed` or `queue_unsettled` → `part` …; `add` between them tells what was settled meanwhile.

    A context manager. Every call blocks for as long as SQLite takes; it may be made in any thread. All raise OperatorError when the
    temporary file cannot be written.
    """

    def __init__(self) -> None:
        # The path that names none is a database of this connection alone.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._lock = Lock()
        self._names: dict[str, int] = {}
        self._words: list[str] = []
        self._foreign = 0
        self.read_to: dict[int, int] = {}
        """Up to which offset each partition was read; for whoever reads it."""
        for pragma in (f"cache_size = -{CACHE_KIB}", "temp_store = FILE", "journal_mode = OFF", "synchronous = OFF"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        """Give it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Forget all of it."""
        self._database.close()

    @property
    def foreign(self) -> int:
        """How many records Sluice did not write."""
        return self._foreign

    def add(self, read: Iterable[tuple[Letter | Settlement | None, bool]]) -> None:
        """Take note of records in the order of their partitions, each letter with whether it is wanted."""
        letters: list[tuple[Any, ...]] = []
        settlements: list[tuple[str, int, int]] = []
        for each, wanted in read:
            if each is None:
                self._foreign += 1
            elif isinstance(each, Letter):
                letters.append(self._row(each, wanted=wanted))
            elif (place := _number(each.settles)) is not None:
                settlements.append((each.outcome, each.at, place))
        with self._guarded() as database:
            database.execute("BEGIN")
            database.executemany(_ADD, letters)
            # Of a letter that has expired the record that settles it may be left: it finds nothing.
            database.executemany(_SETTLE, settlements)
            database.execute("COMMIT")

    def has(self, place: Place) -> bool:
        """Say whether a letter stands there."""
        number = _number(place)
        return number is not None and bool(self._all("SELECT 1 FROM letters WHERE place = ?", number))

    def storefronts(self) -> set[str]:
        """Return of whom there are letters, wanted or not."""
        return {self._words[name] for (name,) in self._all("SELECT DISTINCT storefront FROM letters")}

    def queue_listed(self, newest: int | None, *, everything: bool) -> int:
        """Line up the `newest` of the wanted ones (None: all), the oldest first; those that are settled only with `everything`.

        Returns how many they are.
        """
        return self._queue(_LISTED, everything, -1 if newest is None else newest)

    def queue_unsettled(self, oldest: int | None) -> int:
        """Line up the `oldest` of the wanted ones that nobody settled (None: all), so that each key's are in the order of their
        acceptance and few of them far from where they stand. Returns how many they are.
        """
        return self._queue(_TO_SETTLE, -1 if oldest is None else oldest)

    def queued(self) -> Iterator[tuple[str, int, int]]:
        """Yield for each storefront how many of its letters stand in line, and how many of them are wishes that a user is forgotten."""
        for storefront, letters, deletions in self._all(_COUNTED):
            yield self._words[storefront], letters, deletions

    def part(self, after: int, most_bytes: int) -> tuple[int, list[Entry]]:
        """Return the next of those in line, behind the first `after` of them, with all their values at most `most_bytes`, but one at
        least; and how many were given until now. None are left when there are none.
        """
        entries: list[Entry] = []
        weight = 0
        with self._guarded() as database:
            for turn, place, topic, partition, position, storefront, at, size, copies in database.execute(
                _QUEUED, (after,)
            ):
                weight += size + RECORD_BYTES
                if entries and weight > most_bytes:
                    break
                entries.append(
                    Entry(
                        _place(place),
                        Origin(self._words[topic], partition, position),
                        [_place(int(copy)) for copy in copies.split(",")],
                        self._words[storefront],
                        at,
                        size,
                        None,
                    )
                )
                after = turn
            entries = [each._replace(settled=self._what_became(database, each)) for each in entries]
        return after, entries

    def _what_became(self, database: sqlite3.Connection, entry: Entry) -> Settlement | None:
        origin = (self._names[entry.origin.topic], *entry.origin[1:])
        found = database.execute(_WHAT_BECAME, origin).fetchone()
        return None if found is None else Settlement(entry.place, *found)

    def _row(self, letter: Letter, *, wanted: bool) -> tuple[Any, ...]:
        place = _number(letter.place) or 0
        key, record = letter.record.key, letter.record
        gone = letter.reason == Reason.USER_DELETED
        return (
            place,
            self._name(letter.origin.topic),
            *letter.origin[1:],
            -place - 1 if key is None else crc32(key),
            self._name(letter.storefront),
            record.timestamp,
            len(record.value or b""),
            letter.is_deletion,
            wanted,
            Settled.USER_DELETED.value if gone else None,
            record.timestamp if gone else None,
        )

    def _name(self, word: str) -> int:
        number = self._names.setdefault(word, len(self._words))
        if number == len(self._words):
            self._words.append(word)
        return number

    def _queue(self, statement: str, *values: int) -> int:
        with self._guarded() as database:
            database.execute("CREATE INDEX IF NOT EXISTS by_origin ON letters (topic, partition, position)")
            database.execute("DELETE FROM queue")
            database.execute(statement, values)
            (count,) = database.execute("SELECT COUNT(*) FROM queue").fetchone()
        return int(count)

    def _all(self, statement: str, *values: int) -> list[Any]:
        with self._guarded() as database:
            return database.execute(statement, values).fetchall()

    @contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._database
            except sqlite3.Error as error:
                raise OperatorError(
                    f"the index of the dead letters cannot be kept in a temporary file ({error}); TMPDIR names another directory"
                ) from error


def _number(place: Place) -> int | None:
    """Return a place as one number; None when no topic is that large."""
    if place.partition >= _PARTITIONS or place.offset >= _OFFSETS:
        return None
    return place.partition * _OFFSETS + place.offset


def _place(number: int) -> Place:
    return Place(*divmod(number, _OFFSETS))
