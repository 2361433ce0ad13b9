"""What the API answers: the texts of seed 003 word for word, and beside them what VENDORS.md knows.

The vendor's codes are documented for 403 only. Every other code, and the texts marked as guesses, are ours: nobody
knows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENTS_REQUIRED = "events array is required and must not be empty"
TOO_MANY_EVENTS = "Maximum 100 events per batch"
FREE_TIER = "Ecommerce events are not available on the free tier"
QUOTA_EXCEEDED = "Ecommerce event quota exceeded"
TOO_MANY_REQUESTS = "Too many requests. Please slow down."

# Guesses.
INVALID_KEY = "Invalid API key"
SECRET_KEY_REQUIRED = "Secret key required"  # noqa: S105 - a text, no secret
USAGE_EXCEEDED = "Monthly API usage exceeded"
APPSPACE_FROZEN = "Appspace is frozen"
INVALID_JSON = "Invalid JSON"
UNSUPPORTED_ENCODING = "Content-Encoding is not supported"

_encode = msgspec.json.Encoder(decimal_format="number").encode


def answer(payload: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON answer. Decimals are written as numbers with all their digits: 12450.00."""
    return web.Response(body=_encode(payload), status=status, headers=headers, content_type="application/json")


def refusal(status: int, error: str, code: str | None = None, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an error of the API's shape."""
    return answer({"error": error} if code is None else {"error": error, "code": code}, status, headers)
