"""What storefronts send: events of many kinds, written down in many ways, each with a number of its own in `properties.n`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.chaos.weather import POISON, UNWANTED

if TYPE_CHECKING:
    from random import Random

    from tests.chaos.ledger import Ledger

SHOPPERS = 12
"""How many visitors one lane has: the fewer, the more often a key comes again."""
PLAIN = ("view_cart", "begin_checkout", "add_payment_info", "search", "share", "rate")
WITH_ITEMS = ("view_item", "add_to_cart", "remove_from_cart", "add_to_wishlist")
UNUSUAL = ("Ærø — “größer”", "\x7f control", "naïve\u2028line", "null \x00 inside", "😀🛒", 'a\\b"c/d')
STYLES: tuple[dict[str, Any], ...] = (
    {"separators": (",", ":")},
    {"separators": (",", ":"), "ensure_ascii": False},
    {"separators": (" , ", " : ")},
    {"indent": 1, "ensure_ascii": False},
)


class Order(NamedTuple):
    """A purchase or a refund, as the API should count it: once."""

    kind: str
    transaction_id: str
    cents: int


class Event(NamedTuple):
    """An event as it is sent. `key` is what keeps its order, if anything does. Not `good`: the gateway refuses it."""

    number: int
    text: bytes
    key: str | None
    order: Order | None
    good: bool = True


class Shopping:
    """Makes up the events of one lane: its visitors and their orders are nobody else's."""

    def __init__(self, lane: int, ledger: Ledger, random: Random) -> None:
        self._lane = lane
        self._ledger = ledger
        self._random = random
        self._orders: list[tuple[dict[str, Any], Order]] = []

    def events(self, count: int) -> list[Event]:
        """Return `count` new events, written down in the ledger."""
        made = [self._event(self._ledger.next_number() + index) for index in range(count)]
        self._ledger.enter(made)
        return made

    def _event(self, number: int) -> Event:
        chance = self._random.random()
        if chance < 0.02:
            # A purchase without what a purchase needs.
            return self._written(number, {"event_type": "purchase", **self._visitor()}, None, good=False)
        if chance < 0.14:
            return self._purchase(number)
        if chance < 0.18 and self._orders:
            fields, order = self._random.choice(self._orders)
            refund = order._replace(kind="refund", cents=order.cents // 2)
            return self._written(number, {**fields, **_money(refund)}, refund)
        fields = {} if chance < 0.22 else self._visitor()
        if chance < 0.6:
            kind = self._random.choice(WITH_ITEMS)
            fields["items"] = [{"item_id": f"sku-{number % 97}", "price": 24.99, "quantity": 1 + number % 3}]
        else:
            kind = self._random.choice(PLAIN)
        return self._written(number, {"event_type": kind, **fields}, None)

    def _purchase(self, number: int) -> Event:
        if self._orders and self._random.random() < 0.3:
            # The same order once more, on purpose: the API must count it once.
            fields, order = self._random.choice(self._orders)
        else:
            order = Order("purchase", f"order-{self._lane}-{number}", self._random.randrange(1, 100_000))
            # Some orders belong to nobody: then the transaction id is the key.
            fields = self._visitor() if self._random.random() < 0.7 else {}
            self._orders.append((fields, order))
        return self._written(number, {**_money(order), "currency": "EUR", **fields}, order)

    def _visitor(self) -> dict[str, Any]:
        visitor = self._random.randrange(SHOPPERS)
        # `cart_id` is the key of those who are not logged in; of those who are, it is not.
        match visitor % 3:
            case 0:
                return {"cart_id": f"cart-{self._lane}-{visitor}"}
            case 1:
                return {"user_id": f"user-{self._lane}-{visitor}", "cart_id": f"cart-{visitor}"}
            case _:
                return {"user_id": f"kund:in-{self._lane}-{visitor}"}

    def _written(self, number: int, fields: dict[str, Any], order: Order | None, *, good: bool = True) -> Event:
        properties = {"n": str(number), "text": self._random.choice(UNUSUAL)}
        if order is None and (chance := self._random.random()) < 0.012:
            properties["note"] = UNWANTED if chance < 0.01 else POISON
        event = {**fields, "properties": properties, "unknown": {"deep": [None, {"er": 1.50}]}}
        text = json.dumps(event, **self._random.choice(STYLES)).encode()
        key = fields.get("user_id") or fields.get("cart_id") or fields.get("transaction_id")
        return Event(number, text, key, order if good else None, good)


def _money(order: Order) -> dict[str, Any]:
    return {"event_type": order.kind, "transaction_id": order.transaction_id, "revenue": order.cents / 100}
