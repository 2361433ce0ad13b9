"""`top-products`: what was sold of each product, by its `item_id`.

Revenue is what the items of purchases are worth (`question.ITEMS`), so shipping, taxes and discounts of whole orders
are not in it. The name is the one that the product was last sold under; null when it never had one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from sandbox.tolinku.queries.parameters import whole
from sandbox.tolinku.queries.question import ITEMS, number

if TYPE_CHECKING:
    from decimal import Decimal

    from sandbox.tolinku.queries.question import Question

DEFAULT_LIMIT = 20
MOST_PRODUCTS = 100

QUERY = f""", {ITEMS}
select item_id, arg_max(item_name, (arrival, position)) filter (item_name <> ''), sum(worth) as revenue,
    sum(quantity::decimal(38, 4)), count(distinct arrival)
from lines where event_type = 'purchase' group by item_id order by revenue desc, item_id limit $limit
"""  # noqa: S608 - made of constants


class Product(TypedDict):
    """One product."""

    item_id: str
    item_name: str | None
    revenue: Decimal
    quantity: int | Decimal
    orders: int


class TopProducts(TypedDict):
    """The answer of `GET …/ecommerce/top-products`."""

    products: list[Product]
    days: int


def top_products(question: Question) -> TopProducts:
    """Return the `limit` products that brought the most. Waits for the disk; raises InvalidParameter."""
    limit = whole(question.asked, "limit", default=DEFAULT_LIMIT, most=MOST_PRODUCTS)
    products = [
        Product(
            item_id=item_id, item_name=name, revenue=question.money(revenue), quantity=number(quantity), orders=orders
        )
        for item_id, name, revenue, quantity, orders in question.rows(QUERY, {"limit": limit})
    ]
    return TopProducts(products=products, days=question.period.days)
