"""Why an event is refused, in the words of the Ecommerce API (seed 003); where it has none, in the same tone with the field's path.

The slow and telling half of validation: `schemas.events` decides quickly that an event is good, this says what is wrong with
one that is not. null in an optional field counts as absent, and so does an empty text in a required one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from schemas.currencies import is_currency
from schemas.events import (
    EVENT_NUMBERS,
    EVENT_TEXTS,
    EVENT_TYPES,
    ITEM_NUMBERS,
    ITEM_TEXTS,
    NEEDS_ITEMS,
    NEEDS_REVENUE,
    NEEDS_TRANSACTION,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_NAME = 100


def fault(event: object) -> str | None:
    """Return the first fault of a decoded event (what a JSON parser gave), without an `events[i]: ` before it; None when it is good.

    The order is the seed's: the type, what the type requires, then every other field of the seed's tables.
    """
    if not isinstance(event, dict):
        return "event must be an object"
    return next(_faults(event), None)


def _faults(event: dict[str, Any]) -> Iterator[str]:
    kind = event.get("event_type")
    if kind is None or kind == "":
        yield "event_type is required"
        return
    if not isinstance(kind, str) or kind not in EVENT_TYPES:
        yield "Invalid ecommerce event_type"
        return
    if kind in NEEDS_TRANSACTION and event.get("transaction_id") in (None, ""):
        yield f"transaction_id is required for {kind} events"
    if kind in NEEDS_REVENUE and event.get("revenue") is None:
        yield f"revenue is required for {kind} events"
    if kind in NEEDS_ITEMS and event.get("items") in (None, []):
        yield f"items is required for {kind} events"
    yield from _scalars(event, "", EVENT_TEXTS, EVENT_NUMBERS)
    yield from _items(event.get("items"))
    yield from _properties(event.get("properties"))


def _scalars(fields: dict[str, Any], path: str, texts: tuple[str, ...], numbers: tuple[str, ...]) -> Iterator[str]:
    for name in texts:
        if not isinstance(fields.get(name), str | None):
            yield f"{path}{name} must be a string"
    for name in numbers:
        value = fields.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{path}{name} must be a number"
        elif not math.isfinite(value):
            yield f"{path}{name} must be a finite number"
    currency = fields.get("currency")
    if currency is not None and not (isinstance(currency, str) and is_currency(currency)):
        yield f"{path}currency must be an ISO 4217 code"


def _items(items: object) -> Iterator[str]:
    if items is None:
        return
    if not isinstance(items, list):
        yield "items must be an array"
        return
    for index, item in enumerate(items):
        path = f"items[{index}]"
        if not isinstance(item, dict):
            yield f"{path} must be an object"
            continue
        item_id = item.get("item_id")
        if item_id is None or item_id == "":
            yield f"{path}.item_id is required"
        elif not isinstance(item_id, str):
            yield f"{path}.item_id must be a string"
        yield from _scalars(item, f"{path}.", ITEM_TEXTS, ITEM_NUMBERS)


def _properties(properties: object) -> Iterator[str]:
    if properties is None:
        return
    if not isinstance(properties, dict):
        yield "properties must be an object"
        return
    for name, value in properties.items():
        if isinstance(value, dict | list):
            yield f"properties.{_shortened(name)} must be a string"
        elif isinstance(value, float) and not math.isfinite(value):
            yield f"properties.{_shortened(name)} must be a finite number"


def _shortened(name: str) -> str:
    """Cut a name that the sender chose, so that an answer, a header and a log line stay small."""
    return name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "…"
