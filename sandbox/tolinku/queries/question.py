"""What a report is asked, and the part of the answer that all of them begin with: the events that count, with their
money in the base currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from sandbox.money import minor_units, rates_to, to_minor_unit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import duckdb

    from sandbox.tolinku.queries.period import Period

CHOSEN = """
with rates as (select unnest($currencies::varchar[]) as currency, unnest($rates::decimal(20, 10)[]) as rate),
chosen as (
    select *,
        -- as wide as decimals get: a product keeps the width of its factors, and narrow ones overflow
        coalesce(round(revenue::decimal(38, 4) * rate, $digits), 0) as money,
        coalesce(user_id, cart_id) as visitor,
        coalesce(cart_id, user_id) as cart
    from arrivals left join rates using (currency)
    where appspace = $appspace and arrived_at >= $start and arrived_at < $end and ignored is null
),
orders as (select * from chosen where event_type = 'purchase')
"""

ITEMS = """
lines as (
    select arrival, event_type, cart, position, item ->> '$.item_id' as item_id, item ->> '$.item_name' as item_name,
        quantity, coalesce(round(worth::decimal(38, 4) * rates.rate, $digits), 0) as worth
    from (
        select *, try_cast(price::decimal(38, 4) * quantity as decimal(18, 4)) as worth,
            upper(coalesce(nullif(item ->> '$.currency', ''), currency)) as paid_in
        from (
            select *, try_cast(item ->> '$.price' as decimal(18, 4)) as price,
                coalesce(try_cast(item ->> '$.quantity' as decimal(18, 4)), 1) as quantity
            from (
                select arrival, event_type, cart, currency, unnest(raw -> '$.items[*]') as item,
                    generate_subscripts(raw -> '$.items[*]', 1) as position
                from chosen where event_type in ('purchase', 'add_to_cart', 'remove_from_cart')
            )
        )
    ) left join rates on rates.currency = paid_in
)
"""
"""The items of the events that fill carts and orders, to be put behind CHOSEN. An item is worth its price times its
quantity (1 when absent), both to four decimals; one without a price, or with an impossible one, is worth nothing.
Discounts of items are not taken off: whether they are for one piece or for all is unknown.
"""


@dataclass(frozen=True, slots=True)
class Question:
    """One call of a query endpoint. `asked` holds its parameters as they came; `connection` is the report's own."""

    appspace: str
    period: Period
    base_currency: str
    asked: Mapping[str, str]
    connection: duckdb.DuckDBPyConnection

    def rows(
        self, query: str, values: Mapping[str, object] | None = None, *, since: datetime | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a query over the tables `chosen` and `orders`, which follows CHOSEN in the same
        statement. Waits for the disk.

        `values`: what else it names with `$`. `since`: where the events begin, if not where the period does.
        """
        rates = rates_to(self.base_currency)
        given = {
            "currencies": list(rates),
            "rates": list(rates.values()),
            "digits": minor_units(self.base_currency),
            "appspace": self.appspace,
            "start": self.period.start if since is None else since,
            "end": self.period.end,
            **(values or {}),
        }
        return self.connection.execute(CHOSEN + query, given).fetchall()

    def money(self, amount: Decimal | None) -> Decimal:
        """Return a sum with the digits of the base currency; 0 for the sum of nothing."""
        return to_minor_unit(Decimal(0) if amount is None else amount, self.base_currency)


def percent(part: Decimal | int, whole: Decimal | int) -> Decimal:
    """Return a share in percent with one decimal, 0 when there is nothing to divide by."""
    if whole == 0:
        return Decimal(0)
    return (Decimal(100) * part / whole).quantize(Decimal("0.1"), ROUND_HALF_UP)


def number(quantity: Decimal) -> int | Decimal:
    """Return a sum of quantities without needless decimals."""
    return int(quantity) if quantity == int(quantity) else quantity.normalize()
