"""What the load consists of: events as a shop sends them, about 300 bytes each, of 5,000 visitors."""

from __future__ import annotations

import random

import orjson

VISITORS = 5_000
KINDS = ("view_item", "add_to_cart", "view_cart", "begin_checkout", "search")


def events(count: int, seed: int = 1) -> list[bytes]:
    """Return `count` events as JSON; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - the same load every time
    made = []
    for _ in range(count):
        price = chance.randrange(100, 20_000) / 100
        made.append(
            orjson.dumps(
                {
                    "event_type": chance.choice(KINDS),
                    "user_id": f"user_{chance.randrange(VISITORS)}",
                    "currency": "EUR",
                    "items": [
                        {
                            "item_id": f"sku_{chance.randrange(1000)}",
                            "item_name": "T-Shirt, organic cotton",
                            "item_category": "Apparel",
                            "price": price,
                            "quantity": chance.randrange(1, 4),
                        }
                    ],
                    "properties": {"campaign": "spring-sale", "source": "email"},
                    "platform": "web",
                }
            )
        )
    return made


def batch(made: list[bytes]) -> bytes:
    """Return the body of one `batch` request."""
    return b'{"events":[' + b",".join(made) + b"]}"
