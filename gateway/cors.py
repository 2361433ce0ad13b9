"""Cross-origin requests, as the vendor's web SDK makes them (VENDORS: tolinku).

A beacon carries credentials mode `include`, so an answer names the exact origin, never `*`, and allows credentials. What a page
must read (`Retry-After` among it) is exposed, on errors too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST_HEADERS = "Content-Type, X-API-Key, Authorization, Idempotency-Key, Content-Encoding, traceparent, tracestate"
METHODS = "GET, POST, DELETE, OPTIONS"
PASSED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
MAX_AGE_SECONDS = "7200"
EXPOSED = "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-Id"
_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:[ \t]*,[ \t]*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")


def answer_headers(origin: str) -> Mapping[str, str]:
    """Return the headers with which a browser lets a page of `origin` read the answer."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": EXPOSED,
        "Vary": "Origin",
    }


def preflight_headers(origin: str, passed: str | None = None) -> Mapping[str, str]:
    """Return the headers with which a browser goes on to send the request itself.

    `passed`: for a path that is passed through, the headers that the page asks for. The vendor knows them and we do not, so whatever
    can be a header's name is allowed: nothing rests on them, since no cookie gets through.
    """
    names = passed if passed and _NAMES.fullmatch(passed) else REQUEST_HEADERS
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": METHODS if passed is None else PASSED_METHODS,
        "Access-Control-Allow-Headers": names,
        "Access-Control-Max-Age": MAX_AGE_SECONDS,
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    }
