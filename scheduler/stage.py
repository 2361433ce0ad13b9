"""Where the rows of one pull wait until the answer is complete: on disk beyond a few megabytes, gone when closed."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from schemas.exports import TOTAL_BUCKET, bucket_name
from schemas.ledger import NO_BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scheduler.plan import Window
    from scheduler.sources.interface import Answer, Ask, Found

PIECE_BYTES: Final = 8 * 1024 * 1024
"""About how much goes into one transaction, before compression: the embedded log takes 64 MiB at once."""
_BATCH: Final = 1_000
_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -4000;
CREATE TABLE staged (
    bucket TEXT NOT NULL, dimensions TEXT NOT NULL, until TEXT NOT NULL, ask INTEGER NOT NULL, row BLOB NOT NULL,
    PRIMARY KEY (bucket, dimensions)
) WITHOUT ROWID;
"""


class Staged(NamedTuple):
    """A row as it waits. `bucket` and `until`: the bucket's two ends, UTC instants, or `TOTAL_BUCKET` or `NO_BUCKET` and nothing;
    `dimensions`: canonical JSON; `content`: everything that a fingerprint covers.
    """

    bucket: str
    dimensions: str
    until: str
    content: dict[str, Any]


class Piece(NamedTuple):
    """What goes into one transaction: rows of buckets from `low` on, up to but without `high`, compared as text; "" and None: no bound."""

    low: str
    high: str | None


EVERYTHING: Final = Piece("", None)


class Stage:
    """The rows of one pull, by bucket and dimensions. Life: made → `sink` and `answered` for each ask → read → `close`.

    Everything here may wait for the disk; one thread at a time.
    """

    def __init__(self) -> None:
        # A database without a name lives in its cache, spills into a file that has no name either, and goes with the connection.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.executescript(_SCHEMA)
        self._connection.execute("BEGIN")
        self._waiting: list[tuple[str, str, str, int, bytes]] = []
        self._common: list[dict[str, Any]] = []
        self._bytes = 0

    def sink(self, ask: Ask) -> AskSink:
        """Return where the rows of `ask` go."""
        self._common.append(_common(ask))
        return AskSink(self, ask, len(self._common) - 1)

    def answered(self, sink: AskSink, answer: Answer) -> None:
        """Add what only the answer as a whole tells to every row of the sink's ask."""
        common = self._common[sink.number]
        common |= {"currency": answer.currency, "timezone": answer.timezone or common["timezone"]}
        common["flags"] = sorted(answer.flags)

    def put(self, bucket: str, dimensions: str, until: str, ask: int, row: bytes) -> None:
        """Take a row; one with the same bucket and dimensions is replaced."""
        self._waiting.append((bucket, dimensions, until, ask, row))
        self._bytes += len(row)
        if len(self._waiting) >= _BATCH:
            self._flush()

    def rows(self, piece: Piece = EVERYTHING) -> Iterator[Staged]:
        """Yield the rows of a piece, by bucket and dimensions."""
        self._flush()
        query = "SELECT * FROM staged WHERE bucket >= ? AND (? IS NULL OR bucket < ?) ORDER BY bucket, dimensions"
        for bucket, dimensions, until, ask, row in self._connection.execute(query, (piece.low, piece.high, piece.high)):
            content = orjson.loads(row)
            common = self._common[ask]
            flags = sorted({*content["flags"], *common["flags"]})
            yield Staged(bucket, dimensions, until, content | common | {"flags": flags})

    def __contains__(self, key: tuple[str, str]) -> bool:
        """Say whether there is a row of this bucket and these dimensions."""
        self._flush()
        query = "SELECT 1 FROM staged WHERE bucket = ? AND dimensions = ?"
        return self._connection.execute(query, key).fetchone() is not None

    def digest(self) -> str:
        """Return a digest of which rows there are, whatever they hold."""
        self._flush()
        digest = hashlib.blake2b(digest_size=16)
        for key in self._connection.execute("SELECT bucket, dimensions FROM staged ORDER BY bucket, dimensions"):
            digest.update(orjson.dumps(key))
        return digest.hexdigest()

    def pieces(self) -> list[Piece]:
        """Return the stage cut between buckets, so that each piece fits a transaction unless a single bucket does not."""
        self._flush()
        if self._bytes <= PIECE_BYTES:
            return [EVERYTHING]
        cuts, size = [""], 0
        query = "SELECT bucket, sum(length(row) + length(dimensions)) FROM staged GROUP BY bucket ORDER BY bucket"
        for bucket, length in self._connection.execute(query):
            if size and size + length > PIECE_BYTES:
                cuts.append(bucket)
                size = 0
            size += length
        return [Piece(low, high) for low, high in zip(cuts, [*cuts[1:], None], strict=True)]

    def close(self) -> None:
        """Throw everything away. Idempotent."""
        self._connection.close()

    def _flush(self) -> None:
        if self._waiting:
            self._connection.executemany("INSERT OR REPLACE INTO staged VALUES (?, ?, ?, ?, ?)", self._waiting)
            self._waiting.clear()


class AskSink:
    """Where the rows of one ask go; see `scheduler.sources.interface.Sink`."""

    def __init__(self, stage: Stage, ask: Ask, number: int) -> None:
        self.number = number
        self._stage = stage
        self._ask = ask
        self._resolution = ask.plan.shape.resolution
        self._dropped = frozenset(ask.plan.export.drop)

    def put(self, found: Found) -> None:
        """Take a row. Raises ValueError for one without a bucket where the resolution has some: a source's fault."""
        bucket, span = self._bucket(found)
        start, end = (None, None) if span is None else (span.start, span.end)
        dimensions = {**self._ask.dimensions, **found.dimensions}
        row = {
            "bucket_start": None if start is None else start.isoformat(),
            "bucket_end": None if end is None else end.isoformat(),
            "dimensions": dimensions,
            "metrics": found.metrics,
            "attributes": {name: value for name, value in found.attributes.items() if name not in self._dropped},
            "unavailable": sorted(found.unavailable),
            "flags": list(found.flags),
            "provisional": end is not None and end.astimezone(UTC) > self._ask.now.astimezone(UTC),
        }
        if found.compare is not None:
            row["compare_start"] = found.compare.start.isoformat()
            row["compare_end"] = found.compare.end.isoformat()
        canonical = orjson.dumps(dimensions, option=orjson.OPT_SORT_KEYS).decode()
        until = "" if end is None or bucket == TOTAL_BUCKET else bucket_name(end)
        self._stage.put(bucket, canonical, until, self.number, orjson.dumps(row))

    def _bucket(self, found: Found) -> tuple[str, Window | None]:
        if self._resolution == "NONE":
            return NO_BUCKET, None
        if self._resolution == "TOTAL":
            return TOTAL_BUCKET, self._ask.window
        if found.bucket is None:
            raise ValueError(f"a row of {self._ask.plan.name} has no bucket")
        return bucket_name(found.bucket.start), found.bucket


def _common(ask: Ask) -> dict[str, Any]:
    """Return what all rows of an ask say alike."""
    plan = ask.plan
    return {
        "export": plan.name,
        "source": plan.account.source,
        "dataset": plan.export.dataset,
        "account": plan.account.name,
        "resolution": plan.shape.resolution,
        "timezone": plan.shape.zone.key if plan.shape.dated else None,
        "currency": None,
        "flags": [],
    }
