"""CloudEvents 1.0, Kafka binary mode: the value is the data, the attributes are headers (RECORDS §1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.events import EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

SPECVERSION = "ce_specversion"
ID = "ce_id"
SOURCE = "ce_source"
TYPE = "ce_type"
TIME = "ce_time"
CONTENT_TYPE = "content-type"
TRACEPARENT = "ce_traceparent"
TRACESTATE = "ce_tracestate"

SPECVERSION_HEADER = (SPECVERSION, b"1.0")
CONTENT_TYPE_HEADER = (CONTENT_TYPE, b"application/json")
TYPE_PREFIX = "ecommerce."
TYPE_HEADERS: Mapping[str, tuple[str, bytes]] = {name: (TYPE, f"{TYPE_PREFIX}{name}".encode()) for name in EVENT_TYPES}
"""The header of each event type."""
DELETION_TYPE_HEADER = (TYPE, b"ecommerce.user_deletion")
"""The header of what is no event: that a user is to be forgotten."""
DELETION_START = b'{"user_id":'
"""What a deletion's value begins with; an event's may too."""


def source_header(storefront: str) -> tuple[str, bytes]:
    """Return the header that says which storefront an event comes from."""
    return (SOURCE, f"/storefronts/{storefront}".encode())
