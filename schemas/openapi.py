"""The gateway's HTTP interface as an OpenAPI 3.1 document, made from the types and codes that the gateway works with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from schemas.openapi_answers import refusals
from schemas.openapi_bodies import schemas
from schemas.openapi_passed import passed_paths
from schemas.openapi_paths import paths

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = "3.1.1"
_DESCRIPTION: Final = (
    "The vendor's Ecommerce API as the gateway speaks it: a storefront changes only the host. "
    "An event is answered as accepted once it is on stable storage, and not before."
)
_SECURITY: Final = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def document(*, version: str, url: str, statuses: Mapping[str, int], max_batch_events: int) -> dict[str, Any]:
    """Return the document, as what JSON is made from.

    `version`: the gateway's; `url`: where it listens; `statuses`: the HTTP status of each code that a refusal may have.
    """
    return {
        "openapi": VERSION,
        "info": {"title": "Sluice gateway", "version": version, "description": _DESCRIPTION},
        "servers": [{"url": url}],
        # The last: the key stands in the body.
        "security": [{"apiKey": []}, {"bearer": []}, {}],
        "paths": paths(statuses) | passed_paths(statuses),
        "components": {
            "schemas": schemas(max_batch_events=max_batch_events),
            "responses": refusals(statuses),
            "securitySchemes": _SECURITY,
        },
    }
