"""Cross-origin requests, as the vendor's web SDK makes them (VENDORS: tolinku).

A beacon carries credentials mode `include`, so an answer names the exact origin, never `*`, and allows credentials. What a page
must read (`Retry-After` among it) is exposed, on errors too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST_HEADERS = "Content-Type, X-API-Key, Authorization, Idempotency-Key, Content-Encoding, traceparent, tracestate"
METHODS = "GET, POST, DELETE, OPTIONS"
MAX_AGE_SECONDS = "7200"
EXPOSED = "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-Id"


def answer_headers(origin: str) -> Mapping[str, str]:
    """Return the headers with which a browser lets a page of `origin` read the answer."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": EXPOSED,
        "Vary": "Origin",
    }


def preflight_headers(origin: str) -> Mapping[str, str]:
    """Return the headers with which a browser goes on to send the request itself."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": REQUEST_HEADERS,
        "Access-Control-Max-Age": MAX_AGE_SECONDS,
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    }
