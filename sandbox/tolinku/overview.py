"""`overview`, computed from what arrived and counts. Sums are exact decimals; every conversion rounds to the base
currency's minor unit.

Seed 003 says what the fields are called; what it leaves open is decided here. A cart is a `cart_id`, else a
`user_id`, that something was added to in the period; it is abandoned when the same cart shows no purchase in it.
`add_to_cart_rate` is additions per product view. Rates are percentages with one decimal, 0 where there is nothing to
divide by.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, TypedDict

from sandbox.money import minor_units, rates_to, to_minor_unit

if TYPE_CHECKING:
    import duckdb

    from sandbox.tolinku.period import Period

QUERY = """
with rates as (select unnest(?::varchar[]) as currency, unnest(?::decimal(38, 10)[]) as rate),
chosen as (
    -- as wide as decimals get: a product keeps the width of its factors, and narrow ones overflow
    select *, revenue::decimal(38, 4) as amount
    from arrivals where appspace = ? and arrived_at >= ? and arrived_at < ? and ignored is null
),
sums as (
    select
        sum(round(amount * rate, ?)) filter (event_type = 'purchase') as revenue,
        sum(round(amount * rate, ?)) filter (event_type = 'refund') as refunded,
        count(*) filter (event_type = 'purchase') as orders,
        count(*) filter (event_type = 'refund') as refunds,
        sum(items_sold) as items,
        count(*) filter (event_type = 'view_item') as views,
        count(*) filter (event_type = 'add_to_cart') as additions
    from chosen left join rates using (currency)
),
carts as (
    select bool_or(event_type = 'purchase') as bought
    from chosen where coalesce(cart_id, user_id) is not null
    group by coalesce(cart_id, user_id) having bool_or(event_type = 'add_to_cart')
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


def overview(connection: duckdb.DuckDBPyConnection, appspace: str, period: Period, base_currency: str) -> Overview:
    """Return the figures of one appspace in its base currency. Waits for the disk."""
    rates = rates_to(base_currency)
    digits = minor_units(base_currency)
    parameters = [list(rates), list(rates.values()), appspace, period.start, period.end, digits, digits]
    row = connection.execute(QUERY, parameters).fetchall()[0]
    orders, refunds, views, additions, carts, abandoned = (row[index] for index in (2, 3, 5, 6, 7, 8))
    revenue, refunded = (to_minor_unit(row[index] or Decimal(0), base_currency) for index in (0, 1))
    items: Decimal = row[4] or Decimal(0)
    return Overview(
        total_revenue=revenue,
        net_revenue=revenue - refunded,
        total_orders=orders,
        total_refunds=refunds,
        refund_amount=refunded,
        avg_order_value=to_minor_unit(revenue / orders if orders else Decimal(0), base_currency),
        total_items_sold=int(items) if items == int(items) else items.normalize(),
        cart_abandonment_rate=_percent(abandoned, carts),
        add_to_cart_rate=_percent(additions, views),
        days=period.days,
    )


def _percent(part: int, whole: int) -> Decimal:
    if whole == 0:
        return Decimal(0)
    return (Decimal(100 * part) / whole).quantize(Decimal("0.1"), ROUND_HALF_UP)
