"""Request bodies, good and bad, on which every gateway must have the same opinion."""

from __future__ import annotations

from typing import Any

import orjson

from bench import payloads
from tests.gateway.test_refusing import FAULTY, UNREADABLE

KIB = 1024
LARGEST_EVENT = 512 * KIB

_ITEM = {"item_id": "sku_1", "item_name": "Shirt", "price": 24.99, "quantity": 2, "currency": "EUR", "discount": 0}
_ORDER = {"transaction_id": "order_456", "revenue": 49.99}
_GOOD: list[dict[str, Any]] = [
    {"event_type": "view_item", "items": [_ITEM]},
    {"event_type": "add_to_cart", "items": [_ITEM, _ITEM], "user_id": "user_1"},
    {"event_type": "remove_from_cart", "items": [{"item_id": "a", "unknown": {"kept": []}}], "cart_id": "cart_1"},
    {"event_type": "add_to_wishlist", "items": [_ITEM], "user_id": "", "cart_id": "cart_2"},
    {"event_type": "view_cart", "user_id": None, "currency": None, "items": None, "properties": None, "discount": None},
    {"event_type": "view_cart", "items": [], "campaign": "spring", "nested": {"unknown": [1, {"kept": True}]}},
    {"event_type": "add_payment_info", "currency": "eur", "user_id": "Žofie \N{GRINNING FACE}"},
    {"event_type": "begin_checkout", "currency": "DEM", "discount": -5, "tax": 1e300, "shipping": 0},
    {"event_type": "purchase", **_ORDER, "items": [_ITEM]},
    {"event_type": "refund", **_ORDER, "user_id": "user_2"},
    {"event_type": "search", "properties": {"search_term": "{[shirt]}", "number": 5, "flag": True, "nothing": None}},
    {"event_type": "share", "properties": {}},
    {"event_type": "rate", "properties": {"item_id": "sku_1", "rating": 5, "comment": 'say "[…]"'}},
    {"event_type": "spend_credits", "revenue": 10},
    {"event_type": "spend_credits", "revenue": 0},
]
_BAD: list[Any] = [
    {},
    {"event_type": None},
    {"event_type": ""},
    {"event_type": "bought"},
    {"event_type": "Purchase"},
    {"event_type": 5},
    {"event_type": ["purchase"]},
    {"event_type": "purchase", "revenue": 1},
    {"event_type": "purchase", "revenue": 1, "transaction_id": ""},
    {"event_type": "purchase", "transaction_id": "o"},
    {"event_type": "purchase", "transaction_id": 4, "revenue": 1},
    {"event_type": "refund"},
    {"event_type": "view_item"},
    {"event_type": "view_item", "items": []},
    {"event_type": "view_item", "items": None},
    {"event_type": "view_item", "items": 5},
    {"event_type": "spend_credits"},
    {"event_type": "spend_credits", "revenue": "10"},
    {"event_type": "spend_credits", "revenue": True},
    {"event_type": "view_cart", "user_id": 7},
    {"event_type": "view_cart", "cart_id": []},
    {"event_type": "view_cart", "coupon_code": False},
    {"event_type": "view_cart", "currency": "EURO"},
    {"event_type": "view_cart", "currency": ""},
    {"event_type": "view_cart", "currency": 978},
    {"event_type": "view_cart", "items": {}},
    {"event_type": "view_cart", "items": [3]},
    {"event_type": "view_cart", "items": [None]},
    {"event_type": "view_cart", "items": [{"item_id": "a"}, {}]},
    {"event_type": "view_cart", "items": [{"item_id": ""}]},
    {"event_type": "view_cart", "items": [{"item_id": 1}]},
    {"event_type": "view_cart", "items": [{"item_id": "a", "price": "1"}]},
    {"event_type": "view_cart", "items": [{"item_id": "a", "item_name": 1}]},
    {"event_type": "view_cart", "items": [{"item_id": "a", "currency": "XYZ"}]},
    {"event_type": "view_cart", "properties": []},
    {"event_type": "view_cart", "properties": "x"},
    {"event_type": "view_cart", "properties": {"size": {"eu": 42}}},
    {"event_type": "view_cart", "properties": {"sizes": [42]}},
    {"event_type": "view_cart", "properties": {"x" * 200: []}},
    [],
    None,
    "purchase",
    True,
]
_WRITTEN_ODDLY = [
    b' {"event_type" : "view_cart", "user_id":"user_123", "n": 1.10, "unknown":{"kept":[1]} }\n',
    b'\t{"event_type" : "look_cart"}',
    b'{"event_type":"view_cart","user_id":"\\u0000"}',
    b'{"event_type":"view_cart","user_id":"\\u00e9 \\ud83d\\ude00 \\"\\\\"}',
    b'{"\\u0065vent_type":"view_cart","user_\\u0069d":"user_4"}',
    b'{"event_type":"view_cart","user_id":"first","user_id":"last"}',
    b'{"event_type":"view_cart","user_id":5,"user_id":"last"}',
    b'{"event_type":"view_cart","items":"none","items":[]}',
    b'{"event_type":"view_cart","properties":{"a":{}},"properties":{"a":1}}',
    b'{"event_type":"view_cart","properties": { "a" : [ ] } }',
    b'{"event_type":"view_cart","properties" : null , "items" : [ ] }',
    b'{"event_type":"view_item","items":[ ]}',
    b'{"event_type":"spend_credits","revenue":-0.0e+10}',
    b'{"event_type":"spend_credits","revenue":12345678901234567890123456789012345678901234567890}',
    b'{"event_type":"spend_credits","revenue":01}',
    b'{"event_type":"spend_credits","revenue":1.}',
    b'{"event_type":"view_cart","number":1e0000000001}',
    b'{"event_type":"view_cart",}',
    b'{"event_type":"view_cart" "user_id":"u"}',
    b"{'event_type':'view_cart'}",
    b'{"event_type":"view_cart","text":"tab\there"}',
    b'{"event_type":"view_cart","text":"\\x"}',
    b'{"event_type":"view_cart","text":"\\ud800\\u0041"}',
    b'{"event_type":"view_cart","text":"\\\\ud800"}',
    b'{"event_type":"view_cart","list":' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"event_type":"view_cart","list":' + b"[" * 2000 + b"]" * 2000 + b"}",
    b"tru",
    b"[1e999]",
    b"1e999",
]


def _of_size(size: int) -> bytes:
    frame = b'{"event_type":"view_cart","text":"%b"}'
    return frame % (b"x" * (size - len(frame % b"")))


def events() -> list[bytes]:
    """Return events, and what is none."""
    told = [orjson.dumps(event) for event in [*_GOOD, *_BAD]]
    raw = [body for body, _ in [*UNREADABLE.values(), *FAULTY.values()]]
    return [*told, *_WRITTEN_ODDLY, *raw, _of_size(LARGEST_EVENT), _of_size(LARGEST_EVENT + 1), *payloads.events(10)]


def batches() -> list[bytes]:
    """Return batches: one for each event, between two good ones, and what is none."""
    view = b'{"event_type":"view_cart","user_id":"neighbour"}'
    shapes: list[Any] = [{}, {"events": []}, {"events": None}, {"events": 5}, {"events": {}}, [], 3, None, "events"]
    told = [orjson.dumps(shape) for shape in shapes]
    between = [b'{"events":[%b , %b,%b]}' % (view, event, view) for event in events() if event]
    return [
        *told,
        *between,
        payloads.batch([view] * 100),
        payloads.batch([view] * 101),
        payloads.batch(payloads.events(100)),
        b'{"events":[%b],"events":[%b,%b]}' % (view, view, view),
        b'{"events":[%b],"events":[{"event":"nameless"}]}' % view,
        b'{"events":5,"number":1e999}',
        b'{"events":[],"number":1e999}',
        b'{"number":1e999}',
        b'{"events":[%b],"number":1e999}' % view,
        b'{"other":[{"events":[1]}],"events":[%b], "sent_at" : "now"}' % view,
        b'{"\\u0065vents":[%b]}' % view,
        b'{"events":[%b]' % view,
        b'{"events":[%b]} x' % view,
        b'{"events":[%b],"apiKey":5}' % view,
        b'{"events":[%b,%b]}' % (_of_size(LARGEST_EVENT + 1), view),
        b'{"events":[%b]}' % b",".join([_of_size(200 * KIB)] * 5),
        b" " * (KIB * KIB + 1),
    ]
