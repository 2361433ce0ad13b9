"""The RateLimit headers, as the vendor's API writes them (VENDORS: tolinku)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.limits import TokenBucket


def rate_headers(bucket: TokenBucket) -> dict[str, str]:
    """Return where a storefront with a limit stands."""
    limit, remaining, reset = bucket.standing()
    return {"RateLimit-Limit": str(limit), "RateLimit-Remaining": str(remaining), "RateLimit-Reset": str(reset)}


def rate_lines(bucket: TokenBucket) -> bytes:
    """Return the same as lines of an answer's head."""
    return b"RateLimit-Limit: %d\r\nRateLimit-Remaining: %d\r\nRateLimit-Reset: %d\r\n" % bucket.standing()
