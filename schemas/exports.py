"""Export rows: one shape for every vendor (RECORDS §2)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping  # msgspec reads it at runtime
from datetime import UTC
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import msgspec
import orjson

if TYPE_CHECKING:
    from datetime import datetime

Resolution: TypeAlias = Literal["HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "TOTAL", "NONE"]
RESOLUTIONS: tuple[Resolution, ...] = get_args(Resolution)
"""TOTAL: one bucket that each pull replaces, the row says its real span. NONE: records and catalogues, no time at all."""

Scalar: TypeAlias = str | int | float | bool | None
Number: TypeAlias = int | float | None
Flag: TypeAlias = Literal["truncated", "clamped", "partial_channels", "unknown_label"]

TOTAL_BUCKET = "TOTAL"
"""What stands in a key in place of a bucket's instant."""


class ExportRow(msgspec.Struct, kw_only=True, gc=False):
    """One row as it is published. Times are ISO 8601: those of buckets with the zone's offset, `pulled_at` in UTC.

    Everything but `revision` and `pulled_at` is what the fingerprint covers.
    """

    export: str
    source: str
    dataset: str
    account: str
    bucket_start: str | None
    bucket_end: str | None
    resolution: Resolution
    timezone: str | None
    currency: str | None
    dimensions: Mapping[str, Scalar]
    metrics: Mapping[str, Number]
    attributes: Mapping[str, Any]
    unavailable: list[str]
    compare_start: str | msgspec.UnsetType = msgspec.UNSET
    compare_end: str | msgspec.UnsetType = msgspec.UNSET
    flags: list[Flag]
    provisional: bool
    revision: int
    pulled_at: str


def row_key(export: str, bucket: str | None, dimensions: Mapping[str, Scalar]) -> bytes:
    """Return a row's key: canonical JSON `[export, bucket, dimensions]`. `bucket` is what `bucket_name` gives, `TOTAL_BUCKET`, or None."""
    return orjson.dumps([export, bucket, dimensions], option=orjson.OPT_SORT_KEYS)


def bucket_name(start: datetime) -> str:
    """Return the UTC instant that stands for the bucket beginning at `start` (aware) in keys and ledger: `2026-01-31T23:00:00Z`."""
    return f"{start.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def fingerprint(content: Mapping[str, Any]) -> str:
    """Return 128 bits in hex over a row's fields (without `revision` and `pulled_at`), the order of keys aside."""
    return hashlib.blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
