"""`revenue-by-coupon`: what the orders with each coupon code brought. Orders without one are in no row.

`avg_discount` is the orders' own `discount`, in the base currency, over all orders with the code; an order that names
none had none. Coupons and discounts of single items are not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from decimal import Decimal

    from sandbox.tolinku.queries.question import Question

QUERY = """,
used as (
    select raw ->> '$.coupon_code' as code, money, round(
        coalesce(try_cast(raw ->> '$.discount' as decimal(18, 4))::decimal(38, 4) * rate, 0), $digits) as discount
    from orders
)
select code, sum(money) as revenue, count(*), sum(discount)
from used where code <> '' group by code order by revenue desc, code
"""


class Coupon(TypedDict):
    """One coupon code, as it was written."""

    coupon_code: str
    revenue: Decimal
    orders: int
    avg_discount: Decimal


class Coupons(TypedDict):
    """The answer of `GET …/ecommerce/revenue-by-coupon`."""

    coupons: list[Coupon]
    days: int


def by_coupon(question: Question) -> Coupons:
    """Return the coupons that were used. Waits for the disk."""
    coupons = [
        Coupon(
            coupon_code=code,
            revenue=question.money(revenue),
            orders=orders,
            avg_discount=question.money(discount / orders),
        )
        for code, revenue, orders, discount in question.rows(QUERY)
    ]
    return Coupons(coupons=coupons, days=question.period.days)
