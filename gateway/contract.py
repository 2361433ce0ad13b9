"""What a gateway says of itself on its admin port: the OpenAPI document of its HTTP interface, at /openapi.json."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

import orjson

from gateway.errors import STATUS
from runtime.addresses import url_of
from schemas.openapi import document

if TYPE_CHECKING:
    from runtime.settings import Settings

PATH = "/openapi.json"


def openapi(settings: Settings) -> bytes:
    """Return the document, in JSON, of a gateway with that configuration."""
    gateway = settings.gateway
    found = document(
        version=importlib.metadata.version("sluice-gateway"),
        url=url_of(gateway.host, gateway.port),
        statuses=dict(STATUS.items()),
        max_batch_events=gateway.max_batch_events,
    )
    return orjson.dumps(found)
