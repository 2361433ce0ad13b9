"""`overview`: the figures of an appspace.

What seed 003 leaves open: a cart is a `cart_id`, else a `user_id`, that something was added to in the period; it is
abandoned when the same cart shows no purchase in it. `add_to_cart_rate` is additions per product view.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from sandbox.tolinku.queries.question import number, percent

if TYPE_CHECKING:
    from decimal import Decimal

    from sandbox.tolinku.queries.question import Question

QUERY = """,
sums as (
    select
        sum(money) filter (event_type = 'purchase'),
        sum(money) filter (event_type = 'refund'),
        count(*) filter (event_type = 'purchase'),
        count(*) filter (event_type = 'refund'),
        coalesce(sum(items_sold::decimal(38, 4)), 0),
        count(*) filter (event_type = 'view_item'),
        count(*) filter (event_type = 'add_to_cart')
    from chosen
),
carts as (
    select bool_or(event_type = 'purchase') as bought
    from chosen where cart is not null group by cart having bool_or(event_type = 'add_to_cart')
)
select sums.*, (select count(*) from carts), (select count(*) from carts where not bought) from sums
"""


class Overview(TypedDict):
    """The answer of `GET …/ecommerce/overview`, field by field."""

    total_revenue: Decimal
    net_revenue: Decimal
    total_orders: int
    total_refunds: int
    refund_amount: Decimal
    avg_order_value: Decimal
    total_items_sold: int | Decimal
    cart_abandonment_rate: Decimal
    add_to_cart_rate: Decimal
    days: int


def overview(question: Question) -> Overview:
    """Return the figures. Waits for the disk."""
    ((paid, returned, orders, refunds, items, views, additions, carts, abandoned),) = question.rows(QUERY)
    revenue, refunded = question.money(paid), question.money(returned)
    return Overview(
        total_revenue=revenue,
        net_revenue=revenue - refunded,
        total_orders=orders,
        total_refunds=refunds,
        refund_amount=refunded,
        avg_order_value=question.money(revenue / orders if orders else None),
        total_items_sold=number(items),
        cart_abandonment_rate=percent(abandoned, carts),
        add_to_cart_rate=percent(additions, views),
        days=question.period.days,
    )
