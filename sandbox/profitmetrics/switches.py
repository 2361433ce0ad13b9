"""The knobs: which sites there are, what the vendor lets through, what it restates, and everything that nobody knows
about it. Set on the fault port.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from sandbox.money import EUROS
from schemas.profitmetrics import METRICS, Channel

if TYPE_CHECKING:
    from collections.abc import Mapping

Count = Annotated[int, msgspec.Meta(ge=0)]
Limit = Annotated[int, msgspec.Meta(ge=1)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
ChannelState = Literal["configured", "partial", "missing"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def _check_names(where: str, names: frozenset[str]) -> None:
    unknown = sorted(names - METRICS.keys())
    if unknown:
        raise ValueError(f"{where}: there is no metric {unknown[0]}")


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A shop. Data begin at its first order (None: it has none)."""

    currency: str = "EUR"
    first_order: Instant | None = datetime(2024, 3, 1, 9, 12, tzinfo=UTC)
    orders_per_hour: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 6

    channels: dict[Channel, ChannelState] = {}
    """The marketing channels that are connected. partial: with actions configured, but not all that is required;
    missing: connected without any.
    """

    missing_settings: frozenset[str] = frozenset()
    """Metrics whose settings other than channels are missing: "N/A" in an export, a refusal in reports."""

    def __post_init__(self) -> None:
        """Refuse a currency without a rate, and an unknown metric, with ValueError."""
        if self.currency not in EUROS:
            raise ValueError(f"currency: there is no rate for {self.currency}")
        _check_names("missing_settings", self.missing_settings)


class Restatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What happened in the hours that begin in a span becomes `factor` times as much, for one site or all. Several
    multiply.
    """

    site: int | None = None
    start: Instant = msgspec.field(name="from")
    end: Instant = msgspec.field(name="to")
    factor: Annotated[float, msgspec.Meta(ge=0, le=1000)]


class Vanished(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Buckets that begin in a span are left out of answers about `site` (None: any), or only these `metrics` of
    theirs.
    """

    site: int | None = None
    start: Instant = msgspec.field(name="from")
    end: Instant = msgspec.field(name="to")
    metrics: frozenset[str] | None = None


DEFAULT_SITES: Final[Mapping[int, Site]] = {
    10000394: Site(channels={"Google": "configured", "Meta": "configured", "Bing": "configured"}),
    10000816: Site(
        currency="DKK",
        first_order=datetime(2025, 1, 15, 13, 40, tzinfo=UTC),
        orders_per_hour=3,
        channels={"Google": "configured", "Meta": "missing", "TikTok": "partial"},
    ),
}


class Switches(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the API behaves. What is left out is as in development."""

    sites: dict[int, Site] = msgspec.field(default_factory=lambda: dict(DEFAULT_SITES))

    concurrency_per_key: Limit = 4
    concurrency: Limit = 16
    """Requests under way at once; one more is told 599 TIMEOUT."""

    busy_retry_after: Count | None = None
    """Seconds in a `Retry-After` on a 599; None: the header is absent."""

    latency_milliseconds: Count = 0
    """What each request takes longer, holding its place under the limits."""

    revoked_keys: frozenset[str] = frozenset()
    """Keys that are told 401."""

    unscoped_keys: frozenset[str] = frozenset()
    """Keys without METRICS_READ: 403."""

    forbidden_sites: dict[str, frozenset[int]] = {}
    """By key: sites that it may not read, though it could before."""

    forbidden_site_code: Literal["CUSTOMER_SITE_NOT_FOUND", "NO_ACCESS_TO_SITES"] = "CUSTOMER_SITE_NOT_FOUND"
    """How `export/v2` refuses such a site: its table of errors says the first (400), the page's chapter on
    authentication the second (403).
    """

    validation_error_code: str = "VALIDATION_ERROR"
    """The `errorCode` of a body that fails validation; the page writes "Validation error" in its place."""

    labels: dict[str, str] = {}
    """Labels of the live catalogue that differ from the page's. A name that the page lacks is a new metric (its
    figures are the number of orders).
    """

    withdrawn_metrics: frozenset[str] = frozenset()
    """Metrics that the live catalogue lacks: unknown names from then on."""

    metrics_envelope: bool = False
    """Whether `export/metrics` answers `{success, data}` or the bare list."""

    week_starts: Weekday = "monday"

    empty_buckets: bool = True
    """Whether a bucket in which nothing happened, or that lies in the future, is sent."""

    undefined_ratio: Literal["zero", "null", "N/A"] = "zero"
    """What a ratio is whose divisor is 0."""

    percentage_of_zero: Literal["null", "zero", "hundred"] = "null"
    """`percentageDiff` where `compareValue` is 0."""

    epoch: Count = 0
    """Another number restates everything there is."""

    restatements: list[Restatement] = []
    vanished: list[Vanished] = []

    truncate_buckets: Count | None = None
    """An answer silently ends after so many buckets of each series."""

    cut_bytes: Limit | None = None
    """An answer with status 200 ends after so many bytes, in the midst of its JSON."""

    def __post_init__(self) -> None:
        """Refuse names of metrics that there are none of, with ValueError."""
        known = METRICS.keys() | self.labels.keys()
        _check_names("withdrawn_metrics", self.withdrawn_metrics - known)
        for span in self.vanished:
            _check_names("vanished", (span.metrics or frozenset()) - known)


class Switchboard:
    """Holds the switches in force."""

    def __init__(self) -> None:
        self.switches = Switches()
