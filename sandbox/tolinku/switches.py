"""The knobs: what the vendor's plan allows, and everything that nobody knows about it. Set on the fault port, per
appspace or for all.
"""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from sandbox.money import EUROS
from sandbox.tolinku.fraud import Fraud


class Switches(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the API treats an appspace. What is left out is as in development: a paid plan without limits."""

    plan: Literal["paid", "free", "frozen"] = "paid"
    """free: 403 FEATURE_GATED; frozen: 403 APPSPACE_FROZEN."""

    quota_exceeded: bool = False
    """The plan's events are used up: 429."""

    batch_quota: Literal["status", "errors"] = "status"
    """How a batch is told so: by status 429, or in a 200 with an error for each event. The seed names the 429 only
    for `track`.
    """

    usage_percent: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Of the month's API calls: from 80 the answers carry `X-Usage-Warning`, past 110 they are 403 USAGE_EXCEEDED."""

    rate_limit_per_minute: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Requests a minute from one address; the vendor's is 1,000. It counts for all appspaces, so only the general
    switches set it.
    """

    retry_after: bool = False
    """Whether a 429 carries `Retry-After`."""

    accepted_counts_ignored: bool = True
    """Whether `accepted` counts duplicates and blocked events."""

    deduplicate_across_types: bool = False
    """Whether a refund with its purchase's transaction_id is a duplicate."""

    base_currency: str = "EUR"
    """What reports are in, and events without a currency."""

    end_inclusive: bool = True
    """Whether a report's `end` is its last day, or the day after it."""

    time_zone: str = "UTC"
    """Whose midnight begins a day, and a month of the cohorts."""

    reads_request: bool = False
    """Whether device, platform and the bot rule read the request's User-Agent where an event says nothing. It is kept
    from then on, not for what has arrived.
    """

    fraud: Fraud = Fraud()
    """The fraud rules."""

    retention_days: Annotated[int, msgspec.Meta(ge=1)] = 730
    """What `days` is clamped to; the vendor's plans have 7, 180, 365 and 730."""

    clamps_dates: bool = False
    """Whether `start` and `end`, too, reach back no further than that: the answer then begins later than it was asked to."""

    def __post_init__(self) -> None:
        """Refuse a base currency without a rate, and a zone that there is not, with ValueError."""
        if self.base_currency not in EUROS:
            raise ValueError(f"base_currency: there is no rate for {self.base_currency}")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: the name of a folder of zones
            raise ValueError(f"time_zone: there is no {self.time_zone}") from error


class Switchboard:
    """The switches of every appspace. `general` counts for those that have none of their own."""

    def __init__(self) -> None:
        self.general = Switches()
        self.own: dict[str, Switches] = {}

    def of(self, appspace: str) -> Switches:
        """Return how `appspace` is treated."""
        return self.own.get(appspace, self.general)

    def reset(self) -> None:
        """Put everything back as it was at the start."""
        self.general = Switches()
        self.own.clear()
