"""The gateway's own operations: `track`, `batch`, the deletion of a user, and what a browser asks before them (seed 003, DESIGN §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from schemas.openapi_answers import headers, references
from schemas.openapi_bodies import reference

if TYPE_CHECKING:
    from collections.abc import Mapping

ECOMMERCE: Final = "/v1/api/analytics/ecommerce"
TRACK: Final = f"{ECOMMERCE}/track"
BATCH: Final = f"{ECOMMERCE}/batch"
USER: Final = "/v1/api/analytics/user/{userId}"
_JSON: Final = "application/json"
SECRET_KEY: Final[list[dict[str, list[str]]]] = [{"apiKey": []}, {"bearer": []}]
"""Of a route that takes secret keys only: from a header, never from a body."""
_DELETION: Final = frozenset({400, 401, 403, 429, 500, 503})
_ELSEWHERE: Final = frozenset({404, 405, 502, 504})
"""Statuses of paths that there are not, of other methods, and of what is passed through."""

_VIEW: Final = {"event_type": "add_to_cart", "user_id": "user_123", "items": [{"item_id": "sku_1", "price": 24.99}]}
_PURCHASE: Final = {
    "event_type": "purchase",
    "transaction_id": "order_456",
    "revenue": 49.99,
    "currency": "USD",
    "user_id": "user_123",
    "coupon_code": "SAVE10",
    "items": [{"item_id": "sku_1", "item_name": "T-Shirt", "price": 24.99, "quantity": 2, "currency": "USD"}],
    "properties": {"campaign": "spring-sale", "source": "email"},
}
_PARAMETERS: Final = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A request that is repeated with the same key and body gives its events the same ids.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    },
    {
        "name": "Content-Encoding",
        "in": "header",
        "description": "How the body is compressed.",
        "schema": {"type": "string", "enum": ["identity", "gzip", "deflate", "zstd", "br"]},
    },
]
_CORS: Final = {
    name: {"required": True, "schema": {"type": "string"}}
    for name in (
        "Access-Control-Allow-Origin",
        "Access-Control-Allow-Credentials",
        "Access-Control-Allow-Methods",
        "Access-Control-Allow-Headers",
        "Access-Control-Max-Age",
    )
}


def paths(statuses: Mapping[str, int]) -> dict[str, Any]:
    """Return the path items, by path; `statuses`: of each code that a refusal may have."""
    refused = references(set(statuses.values()) - _ELSEWHERE)
    return {
        TRACK: {
            "post": {
                "operationId": "track",
                "summary": "Send one event",
                "description": "Answered once the event is on stable storage.",
                "parameters": _PARAMETERS,
                "requestBody": _body("Event", {"purchase": _PURCHASE}),
                "responses": {"200": _answer("Tracked", {"accepted": {"ok": True}})} | refused,
            },
            "options": _preflight("trackPreflight"),
        },
        BATCH: {
            "post": {
                "operationId": "batch",
                "summary": "Send events",
                "description": "Answered once the good events are on stable storage; what is refused has its reason in `errors`.",
                "parameters": _PARAMETERS,
                "requestBody": _body("Batch", {"two": {"events": [_VIEW, _PURCHASE]}}),
                "responses": {
                    "200": _answer(
                        "Batched",
                        {
                            "all": {"ok": True, "accepted": 2},
                            "some": {
                                "ok": True,
                                "accepted": 1,
                                "errors": ["events[0]: transaction_id is required for purchase events"],
                            },
                        },
                    )
                }
                | refused,
            },
            "options": _preflight("batchPreflight"),
        },
        USER: {
            "parameters": [{"name": "userId", "in": "path", "required": True, "schema": {"type": "string"}}],
            "delete": {
                "operationId": "deleteUser",
                "summary": "Delete what is known of a user",
                "description": "With a secret key. Carried out behind the events that the user sent before.",
                "security": SECRET_KEY,
                "responses": {"200": _answer("Deleted", {"deleted": {"ok": True, "deleted_user_id": "user_123"}})}
                | references(set(statuses.values()) & _DELETION),
            },
            "options": _preflight("deleteUserPreflight"),
        },
    }


def _body(schema: str, examples: Mapping[str, Any]) -> dict[str, Any]:
    content = {"schema": reference(schema), "examples": _examples(examples)}
    return {
        "required": True,
        "description": "JSON in UTF-8. As `text/plain` a browser sends it without asking first.",
        "content": {_JSON: content, "text/plain": content},
    }


def _answer(schema: str, examples: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": "OK",
        "headers": headers(),
        "content": {_JSON: {"schema": reference(schema), "examples": _examples(examples)}},
    }


def _preflight(name: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": "Ask whether a page of another origin may send",
        "security": [],
        "parameters": [{"name": "Origin", "in": "header", "required": True, "schema": {"type": "string"}}],
        "responses": {"204": {"description": "It may", "headers": _CORS}} | references({403}),
    }


def _examples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"value": value} for name, value in values.items()}
