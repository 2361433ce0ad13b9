"""Where the rows of one pull wait until the answer is complete: in memory while they are few, else on disk; gone when closed."""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from scheduler.spill import Spill, Waiting
from schemas.exports import TOTAL_BUCKET, bucket_name
from schemas.ledger import NO_BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from scheduler.plan import Window
    from scheduler.sources.interface import Answer, Ask, Found
    from schemas.ledger import Span

PIECE_BYTES: Final = 4 * 1024 * 1024
"""About how much goes into one transaction, before compression: the embedded log takes 64 MiB at once."""
MEMORY_BYTES: Final = 128 * 1024
"""What is kept in memory. Most pulls bring a handful of rows, and a database for each costs more than all else that is done for it."""


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

    One thread at a time. Once it is `on_disk`, everything but `sink` and `answered` may wait for the disk, and
    raise Retryable when that fails.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], Waiting] = {}
        self._waiting_bytes = 0
        self._spill: Spill | None = None
        self._common: list[dict[str, Any]] = []
        self._bytes = 0

    @property
    def on_disk(self) -> bool:
        """Whether there are so many rows that they do not lie in memory."""
        return self._spill is not None

    @property
    def size(self) -> int:
        """About how many bytes its rows have."""
        return self._bytes

    def sink(self, ask: Ask) -> AskSink:
        """Return where the rows of `ask` go."""
        self._common.append(_common(ask))
        return AskSink(self, ask, len(self._common) - 1)

    def answered(self, sink: AskSink, answer: Answer) -> None:
        """Add what only the answer as a whole tells to every row of the sink's ask."""
        common = self._common[sink.number]
        common |= {"currency": answer.currency, "timezone": answer.timezone, "flags": sorted(answer.flags)}
        if answer.covered is not None and sink.is_total:
            common["bucket_start"] = answer.covered.start.isoformat()

    def forget(self, sink: AskSink, before: datetime, spans: Sequence[Span]) -> None:
        """Throw away the sink's rows of buckets that begin before `before` (aware) and lie wholly in one of `spans`."""
        limit = bucket_name(before)
        if self._spill is not None:
            self._spill.forget(sink.number, limit, spans)
        for key, row in list(self._waiting.items()):
            lies = any(start <= row.bucket and row.until <= end for start, end in spans)
            if row.ask == sink.number and row.bucket < limit and row.until and lies:
                del self._waiting[key]

    def put(self, bucket: str, dimensions: str, until: str, ask: int, row: bytes) -> None:
        """Take a row; one with the same bucket and dimensions is replaced."""
        self._waiting[bucket, dimensions] = Waiting(bucket, dimensions, until, ask, row)
        size = len(row) + len(dimensions)
        self._bytes += size
        self._waiting_bytes += size
        if self._waiting_bytes > MEMORY_BYTES:
            self._spill = self._spill or Spill()
            self._flush(self._spill)

    def rows(self, piece: Piece = EVERYTHING) -> Iterator[Staged]:
        """Yield the rows of a piece, by bucket and dimensions."""
        for bucket, dimensions, until, ask, row in self._rows(piece):
            content = orjson.loads(row)
            common = self._common[ask]
            flags = sorted({*content["flags"], *common["flags"]})
            yield Staged(bucket, dimensions, until, content | common | {"flags": flags})

    def __contains__(self, key: tuple[str, str]) -> bool:
        """Say whether there is a row of this bucket and these dimensions."""
        return key in self._waiting or (self._spill is not None and key in self._spill)

    def digest(self) -> str:
        """Return a digest of which rows there are, whatever they hold."""
        digest = hashlib.blake2b(digest_size=16)
        for row in self._rows(EVERYTHING):
            digest.update(orjson.dumps((row.bucket, row.dimensions)))
        return digest.hexdigest()

    def pieces(self) -> list[Piece]:
        """Return the stage cut between buckets, so that each piece fits a transaction unless a single bucket does not."""
        if self._spill is None or self._bytes <= PIECE_BYTES:
            return [EVERYTHING]
        self._flush(self._spill)
        cuts, size = [""], 0
        for bucket, length in self._spill.sizes():
            if size and size + length > PIECE_BYTES:
                cuts.append(bucket)
                size = 0
            size += length
        return [Piece(low, high) for low, high in zip(cuts, [*cuts[1:], None], strict=True)]

    def close(self) -> None:
        """Throw everything away. Idempotent."""
        self._waiting.clear()
        if self._spill is not None:
            self._spill.close()

    def _rows(self, piece: Piece) -> Iterator[Waiting]:
        if self._spill is not None:
            self._flush(self._spill)
            return self._spill.rows(piece.low, piece.high)
        low, high = piece
        keys = sorted(key for key in self._waiting if key[0] >= low and (high is None or key[0] < high))
        return (self._waiting[key] for key in keys)

    def _flush(self, spill: Spill) -> None:
        spill.add(self._waiting.values())
        self._waiting.clear()
        self._waiting_bytes = 0


class AskSink:
    """Where the rows of one ask go; see `scheduler.sources.interface.Sink`."""

    def __init__(self, stage: Stage, ask: Ask, number: int) -> None:
        self.number = number
        self._stage = stage
        self._ask = ask
        self._resolution = ask.plan.shape.resolution
        self._dropped = frozenset(ask.plan.export.drop)

    @property
    def is_total(self) -> bool:
        """Whether its rows have one bucket, which is as long as what was asked for."""
        return self._resolution == "TOTAL"

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
    }
