"""The gateway's refusals as OpenAPI responses: one for each status, with the codes that have it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_REQUEST_ID: Final = {
    "description": "The request as the gateway's log names it; without an Idempotency-Key, its events' ids begin with it.",
    "schema": {"type": "string"},
}
_RETRY_AFTER: Final = {
    "description": "Seconds after which trying again can help.",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
_ALLOW: Final = {"description": "The methods that the path takes.", "required": True, "schema": {"type": "string"}}
_RATE_LIMITS: Final = {
    "RateLimit-Limit": "Of a storefront that has a limit: how many events may come at once.",
    "RateLimit-Remaining": "How many of them may come now.",
    "RateLimit-Reset": "Seconds until it is all of them again.",
}
_OWN_HEADERS: Final = {
    HTTPStatus.METHOD_NOT_ALLOWED: {"Allow": _ALLOW},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": _RETRY_AFTER},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": _RETRY_AFTER},
}


def headers() -> dict[str, Any]:
    """Return the headers that any answer may have."""
    limits = {name: {"description": text, "schema": {"type": "integer"}} for name, text in _RATE_LIMITS.items()}
    return {"X-Request-Id": _REQUEST_ID} | limits


def refusals(statuses: Mapping[str, int]) -> dict[str, Any]:
    """Return the responses by their name, from the status of each code."""
    found = {}
    for status in sorted(set(statuses.values())):
        codes = sorted(code for code, its in statuses.items() if its == status)
        found[_name(status)] = {
            "description": ", ".join(codes),
            "headers": headers() | _OWN_HEADERS.get(HTTPStatus(status), {}),
            "content": {"application/json": {"schema": _schema(codes)}},
        }
    return found


def references(statuses: set[int]) -> dict[str, Any]:
    """Return what stands for those responses in an operation, by status."""
    return {str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in sorted(statuses)}


def _name(status: int) -> str:
    return f"Refused{status}"


def _schema(codes: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "error": {"type": "string", "description": "Why, in words. They may change; the code does not."},
            "code": {"type": "string", "enum": codes},
        },
        "required": ["error", "code"],
    }
