"""What was published, as this process knows it: fingerprints and revisions of every row of one ledger partition.

A copy of the ledger's shards in a SQLite file that nobody else reads: made anew whenever the partition is taken over, so it
needs no durability. A transaction of it runs beside each transaction of the log: changed first, committed after the log has
committed, rolled back otherwise.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec
import orjson

from schemas.exports import TOTAL_BUCKET, fingerprint
from schemas.ledger import NO_BUCKET, Shard, shard_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from broker.interface import Message
    from scheduler.stage import Piece, Stage, Staged

SHARD_BYTES: Final = 128_000
"""From here on a bucket's rows are divided; a shard may be twice as large by bad luck, and the ledger takes 256 kB."""
TRANSACTION_BYTES: Final = 32 * 1024 * 1024
"""The most that one piece may bring: the embedded log keeps a transaction in memory, and Kafka ends one that takes a minute."""
_ROW_BYTES: Final = 64
_SCHEMA: Final = """
PRAGMA journal_mode = MEMORY;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -8000;
CREATE TABLE rows (
    export TEXT NOT NULL, bucket TEXT NOT NULL, dimensions TEXT NOT NULL,
    until TEXT NOT NULL, slot INTEGER NOT NULL, fingerprint TEXT, revision INTEGER NOT NULL,
    PRIMARY KEY (export, bucket, dimensions)
) WITHOUT ROWID;
-- Only of buckets that are divided.
CREATE TABLE shards (export TEXT NOT NULL, bucket TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (export, bucket)) WITHOUT ROWID;
CREATE TABLE restoring (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE outgoing (bucket TEXT NOT NULL, dimensions TEXT NOT NULL, content BLOB, revision INTEGER NOT NULL);
"""


class TooMuch(Exception):
    """What changed in one bucket, which is never divided, is more than `TRANSACTION_BYTES`."""

    def __init__(self, bucket: str) -> None:
        which = "rows, which have no buckets," if bucket == NO_BUCKET else f"the bucket {bucket}"
        super().__init__(
            f"what changed in {which} is more than the {TRANSACTION_BYTES // 1024**2} MiB that are published at once; "
            "ask for less of it, or divide it among several exports"
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """Buckets in which a row that an answer does not hold has vanished: from `low` on, and over by `high`, UTC instants as text;
    both `TOTAL_BUCKET` or both `NO_BUCKET` for rows that have no buckets.
    """

    low: str
    high: str


@dataclass(slots=True)
class Change:
    """What one piece of a pull changed. `size`: of its rows, in bytes; `touched`: by bucket which slots of its shards."""

    new: int = 0
    restated: int = 0
    vanished: int = 0
    unchanged: int = 0
    size: int = 0
    touched: dict[str, set[int]] = field(default_factory=dict)

    @property
    def messages(self) -> int:
        """How many records it publishes."""
        return self.new + self.restated + self.vanished

    def add(self, other: Change) -> None:
        """Count another piece of the same pull in; what it touched stays its own."""
        self.new += other.new
        self.restated += other.restated
        self.vanished += other.vanished
        self.unchanged += other.unchanged


class Cache:
    """The rows of one ledger partition. Life: made → `restore` … `restored` → (`begin` → (`apply` → read) … → `commit` or `rollback`) … →
    `close`.

    Everything may wait for the disk; one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.executescript(_SCHEMA)
        self._connection.execute("BEGIN")
        self._live: dict[str, int] = {}

    def restore(self, records: Iterable[tuple[str, bytes | None]]) -> None:
        """Take shards' records as they stand in the ledger, by key; a later one of the same key replaces it, None takes it away."""
        latest = dict(records)
        self._connection.executemany(
            "DELETE FROM restoring WHERE key = ?", [(key,) for key in latest if latest[key] is None]
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO restoring VALUES (?, ?)", [item for item in latest.items() if item[1] is not None]
        )

    def restored(self) -> None:
        """Make rows of the shards that are left."""
        self._connection.executemany("INSERT OR REPLACE INTO shards VALUES (?, ?, ?)", self._restored_parts())
        self._connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)", self._restored_rows())
        self._connection.execute("DELETE FROM restoring")
        self._connection.execute("COMMIT")

    def live(self, export: str) -> int:
        """Return how many rows of `export` stand, with what `apply` took over."""
        if export not in self._live:
            query = "SELECT count(*) FROM rows WHERE export = ? AND fingerprint IS NOT NULL"
            self._live[export] = int(self._connection.execute(query, (export,)).fetchone()[0])
        return self._live[export]

    def vanishing(self, export: str, stage: Stage, scope: Scope) -> tuple[int, int]:
        """Return how many rows in `scope` the stage lacks, and how many there are."""
        lacking = of = 0
        for bucket, dimensions in self._standing(export, scope, low="", high=None):
            of += 1
            lacking += (bucket, dimensions) not in stage
        return lacking, of

    @property
    def changing(self) -> bool:
        """Whether a transaction is open."""
        return self._connection.in_transaction

    def begin(self) -> None:
        """Open a transaction."""
        self._connection.execute("BEGIN")

    def apply(self, export: str, stage: Stage, piece: Piece, scope: Scope | None) -> Change:
        """Take over what the piece of the stage changes, and return that; see `messages`, which then tell of this alone.

        Raises TooMuch.
        """
        self._connection.execute("DELETE FROM outgoing")
        change = Change()
        for staged in stage.rows(piece):
            self._take(export, staged, change)
        if scope is not None:
            gone = [key for key in self._standing(export, scope, low=piece.low, high=piece.high) if key not in stage]
            for bucket, dimensions in gone:
                self._bury(export, bucket, dimensions, change)
        if export in self._live:
            self._live[export] += change.new - change.vanished
        return change

    def messages(self, export: str, pulled_at: str) -> Iterator[Message]:
        """Yield the rows and tombstones that the open transaction has for the export's topic."""
        for bucket, dimensions, content, revision in self._connection.execute(
            "SELECT bucket, dimensions, content, revision FROM outgoing"
        ):
            name = None if bucket == NO_BUCKET else bucket
            key = orjson.dumps([export, name, orjson.Fragment(dimensions)])
            value = (
                None
                if content is None
                else content[:-1] + b',"revision":%d,"pulled_at":"%s"}' % (revision, pulled_at.encode())
            )
            yield key, value, ()

    def shards(self, export: str, change: Change) -> Iterator[Message]:
        """Yield the ledger's records for what the open transaction touched."""
        for bucket, slots in change.touched.items():
            (rows, size) = self._connection.execute(
                "SELECT count(*), sum(length(dimensions)) FROM rows WHERE export = ? AND bucket = ?", (export, bucket)
            ).fetchone()
            count = _parts(size + rows * _ROW_BYTES)
            before = self._count(export, bucket)
            if before != count:
                yield from ((shard_key(export, bucket, index, before), None, ()) for index in range(before))
                self._connection.execute("INSERT OR REPLACE INTO shards VALUES (?, ?, ?)", (export, bucket, count))
            indexes = {slot % count for slot in slots} if before == count else range(count)
            for index in sorted(indexes):
                yield shard_key(export, bucket, index, count), self._shard(export, bucket, index, count), ()

    def commit(self) -> None:
        """Keep what was taken over since `begin`: the log has it."""
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        """Forget what was taken over since `begin`. Harmless without it."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
            self._live.clear()

    def close(self) -> None:
        """Delete the file. Idempotent."""
        self._connection.close()
        with contextlib.suppress(FileNotFoundError):  # closed before
            self._path.unlink()

    def _restored_parts(self) -> Iterator[tuple[str, str, int]]:
        """Yield the buckets whose rows are divided, with the number of parts."""
        for (key,) in self._connection.execute("SELECT key FROM restoring WHERE key GLOB '*/*/*'"):
            export, bucket, part = key.split("/")
            yield export, bucket, int(part.partition("of")[2])

    def _restored_rows(self) -> Iterator[tuple[str, str, str, str, int, str | None, int]]:
        decoder = msgspec.json.Decoder(Shard)
        for key, value in self._connection.execute("SELECT key, value FROM restoring ORDER BY key"):
            export, bucket, *_ = key.split("/")
            shard = decoder.decode(value)
            for dimensions, (print_, revision) in shard.rows.items():
                yield export, bucket, dimensions, shard.end, _slot(dimensions), print_, revision

    def _take(self, export: str, staged: Staged, change: Change) -> None:
        print_ = fingerprint(staged.content)
        query = "SELECT fingerprint, revision FROM rows WHERE export = ? AND bucket = ? AND dimensions = ?"
        known = self._connection.execute(query, (export, staged.bucket, staged.dimensions)).fetchone()
        if known is not None and known[0] == print_:
            change.unchanged += 1
            return
        if known is None or known[0] is None:
            change.new += 1
        else:
            change.restated += 1
        revision = 1 if known is None else known[1] + 1
        slot = _slot(staged.dimensions)
        self._connection.execute(
            "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)",
            (export, staged.bucket, staged.dimensions, staged.until, slot, print_, revision),
        )
        content = orjson.dumps(staged.content)
        self._send(staged.bucket, staged.dimensions, content, revision, change)

    def _bury(self, export: str, bucket: str, dimensions: str, change: Change) -> None:
        (revision,) = self._connection.execute(
            "UPDATE rows SET fingerprint = NULL, revision = revision + 1 "
            "WHERE export = ? AND bucket = ? AND dimensions = ? RETURNING revision",
            (export, bucket, dimensions),
        ).fetchone()
        change.vanished += 1
        self._send(bucket, dimensions, None, revision, change)

    def _send(self, bucket: str, dimensions: str, content: bytes | None, revision: int, change: Change) -> None:
        change.size += len(dimensions) + len(content or b"")
        if change.size > TRANSACTION_BYTES:
            raise TooMuch(bucket)
        self._connection.execute("INSERT INTO outgoing VALUES (?, ?, ?, ?)", (bucket, dimensions, content, revision))
        change.touched.setdefault(bucket, set()).add(_slot(dimensions))

    def _standing(self, export: str, scope: Scope, *, low: str, high: str | None) -> Iterator[tuple[str, str]]:
        """Yield bucket and dimensions of the rows that stand in `scope` and, by bucket, from `low` up to `high`."""
        if scope.low in (TOTAL_BUCKET, NO_BUCKET):
            which, values = "bucket = ?", [scope.low]
        else:
            # One bound at each end: with two SQLite may go by the wider one, and through the whole scope for every piece.
            which = "bucket >= ? AND bucket < ? AND until <= ? AND until <> ''"
            values = [max(scope.low, low), scope.high if high is None else min(scope.high, high), scope.high]
        query = f"SELECT bucket, dimensions FROM rows WHERE export = ? AND {which} AND fingerprint IS NOT NULL"  # noqa: S608  # one of two texts of our own
        yield from self._connection.execute(query, (export, *values))

    def _count(self, export: str, bucket: str) -> int:
        found = self._connection.execute(
            "SELECT count FROM shards WHERE export = ? AND bucket = ?", (export, bucket)
        ).fetchone()
        return 1 if found is None else int(found[0])

    def _shard(self, export: str, bucket: str, index: int, count: int) -> bytes:
        rows: dict[str, tuple[str | None, int]] = {}
        end = ""
        for dimensions, until, print_, revision in self._connection.execute(
            "SELECT dimensions, until, fingerprint, revision FROM rows WHERE export = ? AND bucket = ? AND slot % ? = ?",
            (export, bucket, count, index),
        ):
            rows[dimensions] = (print_, revision)
            end = max(end, until)
        return msgspec.json.encode(Shard(end=end, rows=rows))


def _slot(dimensions: str) -> int:
    return zlib.crc32(dimensions.encode())


def _parts(size: int) -> int:
    """Return a power of two: shards are divided only when a bucket has doubled."""
    count = 1
    while size > count * SHARD_BYTES:
        count *= 2
    return count
