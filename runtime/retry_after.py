"""The Retry-After header (RFC 9110 §10.2.3)."""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime


def seconds_to_wait(header: str | None, now: float) -> float:
    """Return how long `header` asks to wait, in seconds; 0 for what is over, and for what cannot be read.

    It may be a number, fractions included, or an HTTP date, which is taken relative to `now`, seconds since the epoch.
    """
    if header is None:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        seconds = _until(header, now)
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0


def _until(date: str, now: float) -> float:
    try:
        moment = parsedate_to_datetime(date)
        # A date without a zone is in UTC, as every HTTP date is.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0
