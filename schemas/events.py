"""The 13 ecommerce events of the Ecommerce API (seed 003) as typed structures: what a good event looks like.

They decode what storefronts send, fast, and refuse everything else without saying why: `schemas.judge` tells why, in the
seed's words. Both hold the same rules (tests/schemas proves it). Unknown fields are allowed and not looked at: an event's bytes
travel as they were sent.

One thing only the judge takes, because it is rare: a currency in small letters.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, TypeAlias

import msgspec

from schemas.currencies import Currency

EVENT_TYPES: tuple[str, ...] = (
    "view_item",
    "add_to_cart",
    "remove_from_cart",
    "add_to_wishlist",
    "view_cart",
    "add_payment_info",
    "begin_checkout",
    "purchase",
    "refund",
    "search",
    "share",
    "rate",
    "spend_credits",
)
NEEDS_ITEMS = frozenset({"view_item", "add_to_cart", "remove_from_cart", "add_to_wishlist"})
NEEDS_TRANSACTION = frozenset({"purchase", "refund"})
NEEDS_REVENUE = frozenset({"purchase", "refund", "spend_credits"})

EVENT_TEXTS = ("transaction_id", "user_id", "cart_id", "coupon_code")
EVENT_NUMBERS = ("revenue", "discount", "shipping", "tax")
ITEM_TEXTS = (
    "item_name",
    "item_category",
    "item_brand",
    "item_variant",
    "item_list_name",
    "item_list_id",
    "item_image_url",
    "coupon_code",
)
ITEM_NUMBERS = ("price", "quantity", "discount")

NonEmpty: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class Item(msgspec.Struct, gc=False, kw_only=True):
    """One product of an event. Prices and discounts in the item's currency; quantity 1 when absent."""

    item_id: NonEmpty
    item_name: str | None = None
    item_category: str | None = None
    item_brand: str | None = None
    item_variant: str | None = None
    item_list_name: str | None = None
    item_list_id: str | None = None
    item_image_url: str | None = None
    price: float | None = None
    quantity: float | None = None
    currency: Currency | None = None
    coupon_code: str | None = None
    discount: float | None = None


Items: TypeAlias = Annotated[list[Item], msgspec.Meta(min_length=1)]
Properties: TypeAlias = dict[str, str | int | float | bool | None]
"""Text by name; numbers and booleans are taken as their text, null as absent."""


class Event(msgspec.Struct, gc=False, kw_only=True, tag_field="event_type"):
    """What all events share. `api_key` is there only in a `track` body of a sender that cannot set headers."""

    event_type: ClassVar[str]

    transaction_id: str | None = None
    revenue: float | None = None
    currency: Currency | None = None
    user_id: str | None = None
    cart_id: str | None = None
    coupon_code: str | None = None
    discount: float | None = None
    shipping: float | None = None
    tax: float | None = None
    items: list[Item] | None = None
    properties: Properties | None = None
    api_key: msgspec.Raw | msgspec.UnsetType = msgspec.field(name="apiKey", default=msgspec.UNSET)


class ViewItem(Event, gc=False, tag="view_item"):
    """A visitor views a product."""

    event_type = "view_item"
    items: Items


class AddToCart(Event, gc=False, tag="add_to_cart"):
    """An item is put into the cart."""

    event_type = "add_to_cart"
    items: Items


class RemoveFromCart(Event, gc=False, tag="remove_from_cart"):
    """An item is taken out of the cart."""

    event_type = "remove_from_cart"
    items: Items


class AddToWishlist(Event, gc=False, tag="add_to_wishlist"):
    """An item is put on the wish list."""

    event_type = "add_to_wishlist"
    items: Items


class ViewCart(Event, gc=False, tag="view_cart"):
    """A visitor views the cart."""

    event_type = "view_cart"


class AddPaymentInfo(Event, gc=False, tag="add_payment_info"):
    """A way to pay was entered."""

    event_type = "add_payment_info"


class BeginCheckout(Event, gc=False, tag="begin_checkout"):
    """The checkout begins."""

    event_type = "begin_checkout"


class Purchase(Event, gc=False, tag="purchase"):
    """An order is complete."""

    event_type = "purchase"
    transaction_id: NonEmpty
    revenue: float


class Refund(Event, gc=False, tag="refund"):
    """An order, or a part of it, is refunded."""

    event_type = "refund"
    transaction_id: NonEmpty
    revenue: float


class Search(Event, gc=False, tag="search"):
    """A visitor searches; `search_term` stands in the properties."""

    event_type = "search"


class Share(Event, gc=False, tag="share"):
    """A product is shared; `item_id` stands in the properties."""

    event_type = "share"


class Rate(Event, gc=False, tag="rate"):
    """A product is rated; `item_id` and `rating` stand in the properties."""

    event_type = "rate"


class SpendCredits(Event, gc=False, tag="spend_credits"):
    """Loyalty credits are redeemed."""

    event_type = "spend_credits"
    revenue: float


AnyEvent: TypeAlias = (
    ViewItem
    | AddToCart
    | RemoveFromCart
    | AddToWishlist
    | ViewCart
    | AddPaymentInfo
    | BeginCheckout
    | Purchase
    | Refund
    | Search
    | Share
    | Rate
    | SpendCredits
)
