"""A made-up shop with every awkwardness that an event may bring, drawn from a seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("view_item", "add_to_cart", "remove_from_cart", "view_cart", "begin_checkout", "add_payment_info", "search")
CURRENCIES = ("EUR", "USD", "usd", "JPY", "KWD", "GBP", "XAU", None)
CAMPAIGNS = ("spring", "sommer „Ø“", "", None, "x" * 300)
PLACES = ("top", "properties", "both")
AGENTS = (None, "Mozilla/5.0 (iPhone) Mobile", "Mozilla/5.0 (Windows NT 10.0)", "aiohttp/3.14")
HOURS = (0, 0, 0, 1, 5, 30, 24 * 9)


class Visit(NamedTuple):
    """A few events of one visitor that arrive together, and how many hours after the visit before."""

    hours: int
    events: list[dict[str, Any]]
    user_agent: str | None


def visits(seed: int, number: int) -> Iterator[Visit]:
    """Yield the visits of one shop."""
    dice = random.Random(seed)  # noqa: S311 - a shop that can be drawn again, no secret
    orders: list[dict[str, Any]] = []
    for _ in range(number):
        visitor = _present(
            {"user_id": _user(dice), "cart_id": dice.choice((None, "", "c1", f"c{dice.randrange(number)}"))}
        )
        events = [visitor | _event(dice) for _ in range(dice.randrange(1, 6))]
        if dice.random() < 0.6:
            orders.append(visitor | _order(dice, f"o{dice.randrange(number * 3)}"))
            events.append(orders[-1])
        if orders and dice.random() < 0.15:
            bought = dice.choice(orders)
            events.append(
                visitor | {"event_type": "refund"} | {name: bought[name] for name in ("transaction_id", "revenue")}
            )
        yield Visit(dice.choice(HOURS), events, dice.choice(AGENTS))


def _user(dice: random.Random) -> str | None:
    return dice.choice((None, "", *(f"user {number}" for number in range(12))))


def _event(dice: random.Random) -> dict[str, Any]:
    kind = dice.choice(KINDS)
    event = {"event_type": kind, "currency": dice.choice(CURRENCIES)} | _channel(dice)
    return _present(event | ({"items": _items(dice)} if kind != "search" else {}))


def _order(dice: random.Random, transaction: str) -> dict[str, Any]:
    event = {
        "event_type": "purchase",
        "transaction_id": transaction,
        "revenue": dice.choice((0, -5, 0.01, 0.005, 1e3, 49.99, dice.randrange(10**6) / 1000)),
        "currency": dice.choice(CURRENCIES),
        "coupon_code": dice.choice((None, "", "SAVE10", "save10", "Ü")),
        "discount": dice.choice((None, 0, 5, 0.333)),
        "items": dice.choice((None, [], _items(dice))),
        "platform": dice.choice((None, "", "ios", "Web", "android")),
    }
    channel = _channel(dice)
    said = {"country": dice.choice(("de", "GB", "")), "device_type": dice.choice(("Tablet", "", None))}
    return _present(event | channel | {"properties": channel.get("properties", {}) | _present(said)})


def _channel(dice: random.Random) -> dict[str, Any]:
    if dice.random() < 0.4:
        return {}
    names = {
        "campaign": dice.choice(CAMPAIGNS),
        "source": dice.choice(("email", "ads", None)),
        "medium": dice.choice(("cpc", None)),
    }
    place = dice.choice(PLACES)
    if place == "top":
        return names
    return {"properties": _present(names)} | ({"campaign": "winter"} if place == "both" else {})


def _items(dice: random.Random) -> list[dict[str, Any]]:
    return [
        _present(
            {
                "item_id": f"sku {dice.randrange(6)}",
                "item_name": dice.choice((None, "", "T-Shirt", "Hoodie")),
                "price": dice.choice((None, 24.99, 0.125, 1500, 1e17)),
                "quantity": dice.choice((None, 1, 2, 2.5, -1)),
                "currency": dice.choice((None, None, "JPY", "usd")),
            }
        )
        for _ in range(dice.randrange(1, 4))
    ]


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
