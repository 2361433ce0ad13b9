"""The seed's error texts word for word, and ours in the same tone."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.events import EVENT_TYPES
from schemas.judge import fault

GOOD: dict[str, dict[str, Any]] = {
    "view_item": {"items": [{"item_id": "sku_1"}]},
    "add_to_cart": {"items": [{"item_id": "sku_1", "price": 24.99}]},
    "remove_from_cart": {"items": [{"item_id": "sku_1", "quantity": 1}]},
    "add_to_wishlist": {"items": [{"item_id": "sku_1"}]},
    "view_cart": {},
    "add_payment_info": {},
    "begin_checkout": {},
    "purchase": {"transaction_id": "order_456", "revenue": 49.99},
    "refund": {"transaction_id": "order_456", "revenue": 0},
    "search": {"properties": {"search_term": "shirt"}},
    "share": {"properties": {"item_id": "sku_1"}},
    "rate": {"properties": {"item_id": "sku_1", "rating": 5}},
    "spend_credits": {"revenue": 10},
}


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_the_least_that_each_type_requires_is_enough(kind: str) -> None:
    assert fault({"event_type": kind, **GOOD[kind]}) is None


@pytest.mark.parametrize("kind", [kind for kind in EVENT_TYPES if GOOD[kind] and "properties" not in GOOD[kind]])
def test_each_required_field_is_missed_by_name(kind: str) -> None:
    for field in GOOD[kind]:
        for absent in ({}, {field: None}):
            event = {"event_type": kind, **GOOD[kind]}
            del event[field]
            assert fault(event | absent) == f"{field} is required for {kind} events"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({}, "event_type is required"),
        ({"event_type": None}, "event_type is required"),
        ({"event_type": ""}, "event_type is required"),
        ({"event_type": "bought"}, "Invalid ecommerce event_type"),
        ({"event_type": 5}, "Invalid ecommerce event_type"),
        ({"event_type": ["purchase"]}, "Invalid ecommerce event_type"),
        ({"event_type": "purchase", "revenue": 1}, "transaction_id is required for purchase events"),
        (
            {"event_type": "purchase", "revenue": 1, "transaction_id": ""},
            "transaction_id is required for purchase events",
        ),
        ({"event_type": "purchase", "transaction_id": "o"}, "revenue is required for purchase events"),
        ({"event_type": "refund"}, "transaction_id is required for refund events"),
        ({"event_type": "view_item", "items": []}, "items is required for view_item events"),
        ({"event_type": "purchase", "transaction_id": 4, "revenue": 1}, "transaction_id must be a string"),
        ({"event_type": "spend_credits", "revenue": "10"}, "revenue must be a number"),
        ({"event_type": "spend_credits", "revenue": True}, "revenue must be a number"),
        ({"event_type": "spend_credits", "revenue": float("inf")}, "revenue must be a finite number"),
        ({"event_type": "view_cart", "user_id": 7}, "user_id must be a string"),
        ({"event_type": "view_cart", "currency": "EURO"}, "currency must be an ISO 4217 code"),
        ({"event_type": "view_cart", "currency": ""}, "currency must be an ISO 4217 code"),
        ({"event_type": "view_cart", "items": {}}, "items must be an array"),
        ({"event_type": "view_cart", "items": [3]}, "items[0] must be an object"),
        ({"event_type": "view_cart", "items": [{"item_id": "a"}, {}]}, "items[1].item_id is required"),
        ({"event_type": "view_cart", "items": [{"item_id": ""}]}, "items[0].item_id is required"),
        ({"event_type": "view_cart", "items": [{"item_id": 1}]}, "items[0].item_id must be a string"),
        ({"event_type": "view_cart", "items": [{"item_id": "a", "price": "1"}]}, "items[0].price must be a number"),
        (
            {"event_type": "view_cart", "items": [{"item_id": "a", "item_name": 1}]},
            "items[0].item_name must be a string",
        ),
        (
            {"event_type": "view_cart", "items": [{"item_id": "a", "currency": "XYZ"}]},
            "items[0].currency must be an ISO 4217 code",
        ),
        ({"event_type": "view_cart", "properties": []}, "properties must be an object"),
        ({"event_type": "view_cart", "properties": {"size": {"eu": 42}}}, "properties.size must be a string"),
        ({"event_type": "view_cart", "properties": {"sizes": [42]}}, "properties.sizes must be a string"),
        ([], "event must be an object"),
        (None, "event must be an object"),
        ("purchase", "event must be an object"),
    ],
)
def test_each_fault_has_its_words(event: object, text: str) -> None:
    assert fault(event) == text


@pytest.mark.parametrize(
    "extra",
    [
        {"currency": "EUR"},
        {"currency": "DEM"},
        {"currency": "HRK"},
        {"currency": "eur"},
        {"user_id": None, "currency": None, "items": None, "properties": None, "discount": None},
        {"user_id": ""},
        {"properties": {"number": 5, "flag": True, "nothing": None, "text": "x"}},
        {"campaign": "spring", "platform": "ios", "nested": {"unknown": [1, {"kept": True}]}},
        {"items": [{"item_id": "a", "unknown": {"kept": []}}]},
        {"discount": -5, "tax": 1e300},
    ],
)
def test_what_is_harmless_passes(extra: dict[str, Any]) -> None:
    assert fault({"event_type": "view_cart", **extra}) is None


def test_a_name_that_the_sender_chose_is_cut() -> None:
    text = fault({"event_type": "view_cart", "properties": {"x" * 100_000: []}})
    assert text is not None
    assert len(text) < 200
