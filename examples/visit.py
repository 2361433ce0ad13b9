"""One visitor's way through the shop, from a search to an order and, hours later, perhaps a refund."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from examples import catalogue, money

if TYPE_CHECKING:
    from collections.abc import Iterator

    from examples.catalogue import Product
    from examples.dice import Dice

Event: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a visit: `second` of the day, the event as JSON data, the cents of its revenue (0: it has none)."""

    second: int
    event: Event
    cents: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """One product in a cart."""

    product: Product
    variant: str
    quantity: int

    @property
    def cents(self) -> int:
        """What all of them cost."""
        return self.product.cents * self.quantity


class Visit:
    """A visit of one shopper.

    `order` is the transaction id that it uses if it ends in an order; `user` is None for a guest.
    """

    def __init__(self, dice: Dice, *, start: int, user: str | None, cart: str, order: str) -> None:
        self._dice = dice
        self._second = start
        self._user = user
        self._cart = cart
        self._order = order
        self._platform = dice.lean(catalogue.PLATFORMS)
        self._country = dice.lean(catalogue.COUNTRIES)
        self._campaign = dice.pick(catalogue.CAMPAIGNS)
        self._positions: list[Position] = []

    def steps(self) -> Iterator[Step]:
        """Yield the events in the order they happen. To be called once."""
        yield from self._browse()
        if self._positions:
            yield from self._cart_and_checkout()

    def event(self, event_type: str, **fields: Any) -> Event:
        """Return an event of this visitor; fields that are None are left out."""
        event: Event = {
            "event_type": event_type,
            **{name: field for name, field in fields.items() if field is not None},
        }
        if self._user is not None:
            event["user_id"] = self._user
        # Nobody has a cart before something lies in it: such a guest's events have no key at all.
        if self._user is not None or self._positions:
            event["cart_id"] = self._cart
        if self._campaign is not None:
            event |= {
                "campaign": self._campaign.campaign,
                "source": self._campaign.source,
                "medium": self._campaign.medium,
            }
        event["platform"] = self._platform
        event.setdefault("properties", {})["country"] = self._country
        return event

    def _step(self, event: Event, cents: int = 0) -> Step:
        self._second += self._dice.between(2, 90)
        return Step(self._second, event, cents)

    def _item(self, position: Position) -> Event:
        product = position.product
        item: Event = {
            "item_id": product.item_id,
            "item_name": product.name,
            "item_category": product.category,
            "item_variant": position.variant,
            "item_image_url": f"https://shop.example/img/{product.item_id}.webp",
            "price": money.number(product.cents),
            "quantity": position.quantity,
            "currency": "EUR",
        }
        if product.brand:
            item["item_brand"] = product.brand
        return item

    def _items(self) -> list[Event]:
        return [self._item(position) for position in self._positions]

    def _browse(self) -> Iterator[Step]:
        dice = self._dice
        if dice.chance(0.35):
            found = {"search_term": dice.pick(catalogue.SEARCHES), "results": dice.between(0, 60)}
            yield self._step(self.event("search", properties=found))
        for _ in range(dice.between(1, 5)):
            product = dice.lean(catalogue.PRODUCTS)
            position = Position(product, dice.pick(product.variants), 1 + dice.between(0, 9) // 8)
            list_id, list_name = dice.pick(catalogue.LISTS)
            item = self._item(position) | {"item_list_id": list_id, "item_list_name": list_name}
            # A field that the API does not know, with nesting: it has to travel unchanged.
            page = {"path": f"/p/{product.item_id}", "seconds": dice.between(3, 240)}
            yield self._step(self.event("view_item", items=[item], page=page))
            yield from self._react(product, item)
            if dice.chance(0.3):
                self._positions.append(position)
                yield self._step(self.event("add_to_cart", items=[item]))

    def _react(self, product: Product, item: Event) -> Iterator[Step]:
        dice = self._dice
        if dice.chance(0.04):
            yield self._step(self.event("share", properties={"item_id": product.item_id, "method": "link"}))
        if self._user is not None and dice.chance(0.05):
            rating = {"item_id": product.item_id, "rating": str(dice.between(1, 5))}
            yield self._step(self.event("rate", properties=rating))
        if dice.chance(0.06):
            yield self._step(self.event("add_to_wishlist", items=[item]))

    def _cart_and_checkout(self) -> Iterator[Step]:
        dice = self._dice
        if len(self._positions) > 1 and dice.chance(0.2):
            removed = self._positions.pop()
            yield self._step(self.event("remove_from_cart", items=[self._item(removed)]))
        if dice.chance(0.8):
            yield self._step(self.event("view_cart", items=self._items()))
        if not dice.chance(0.7):
            return
        yield self._step(self.event("begin_checkout", items=self._items(), currency="EUR"))
        if not dice.chance(0.85):
            return
        yield self._step(self.event("add_payment_info", properties={"method": dice.pick(("card", "paypal", "iDEAL"))}))
        if self._user is not None and dice.chance(0.15):
            credit = dice.between(100, 1500)
            yield self._step(self.event("spend_credits", revenue=money.number(credit), currency="EUR"), credit)
        if dice.chance(0.9):
            yield from self._order_and_refund()

    def _order_and_refund(self) -> Iterator[Step]:
        dice = self._dice
        goods = sum(position.cents for position in self._positions)
        code, off = dice.pick(catalogue.COUPONS) if dice.chance(0.25) else (None, 0)
        discount = goods * off // 100
        shipping = 0 if goods >= catalogue.FREE_SHIPPING_CENTS else catalogue.SHIPPING_CENTS
        total = goods - discount + shipping
        # The shop's base currency is the euro: an order without a currency is one in euros.
        currency = None if dice.chance(0.1) else "EUR"
        purchase = self.event(
            "purchase",
            transaction_id=self._order,
            revenue=money.number(total),
            currency=currency,
            coupon_code=code,
            discount=money.number(discount) if discount else None,
            shipping=money.number(shipping),
            tax=money.number(total * 19 // 119),
            items=self._items(),
        )
        if code is None and dice.chance(0.2):
            purchase["coupon_code"] = None  # a storefront may send null for what it does not have
        yield self._step(purchase, total)
        if dice.chance(0.02):
            # The answer got lost and the storefront sends it again: an order counts once.
            yield self._step(purchase, total)
        if dice.chance(0.1):
            self._second += dice.between(1800, 28_800)
            amount = total if dice.chance(0.5) else total * dice.between(10, 90) // 100
            reason = {"reason": dice.pick(("passt nicht", "defekt", "changed my mind"))}
            refund = self.event(
                "refund",
                transaction_id=self._order,
                revenue=money.number(amount),
                currency=currency,
                properties=reason,
            )
            yield self._step(refund, amount)
