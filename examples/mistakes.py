"""What storefronts get wrong, each mistake with the words in which the gateway must refuse it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Mistake:
    """How a good event of `event_type` becomes a bad one.

    `changes` are the fields laid over it, `without` those left out; `fault` is the gateway's reason to refuse it.
    """

    event_type: str
    fault: str
    changes: Mapping[str, Any]
    without: frozenset[str] = frozenset()

    def made(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return `event` with this mistake in it; `event` itself stays good."""
        return {name: field for name, field in {**event, **self.changes}.items() if name not in self.without}


def _without(event_type: str, name: str) -> Mistake:
    return Mistake(event_type, f"{name} is required for {event_type} events", {}, frozenset({name}))


MISTAKES: tuple[Mistake, ...] = (
    _without("purchase", "transaction_id"),
    _without("purchase", "revenue"),
    _without("refund", "transaction_id"),
    _without("spend_credits", "revenue"),
    _without("add_to_cart", "items"),
    Mistake("view_cart", "event_type is required", {}, frozenset({"event_type"})),
    Mistake("view_cart", "Invalid ecommerce event_type", {"event_type": "page_view"}),
    Mistake("view_item", "items is required for view_item events", {"items": []}),
    Mistake("add_to_cart", "items[0].item_id is required", {"items": [{"item_name": "T-Shirt", "price": 24.99}]}),
    Mistake("add_to_wishlist", "items must be an array", {"items": "sku-1001"}),
    Mistake("purchase", "revenue must be a number", {"revenue": "49,90 €"}),
    Mistake("purchase", "currency must be an ISO 4217 code", {"currency": "EURO"}),
    Mistake("search", "properties.filter must be a string", {"properties": {"filter": {"size": "42"}}}),
    Mistake("view_cart", "user_id must be a string", {"user_id": 4711}),
)
