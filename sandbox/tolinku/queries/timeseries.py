"""`revenue-timeseries`: revenue and orders of each day, in the zone of the period. Days without an order are left
out, as a query that groups by date leaves them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from decimal import Decimal

    from sandbox.tolinku.queries.question import Question

QUERY = """
select strftime((arrived_at at time zone 'UTC' at time zone $zone)::date, '%Y-%m-%d') as day, sum(money), count(*)
from orders group by day order by day
"""


class Day(TypedDict):
    """One day."""

    date: str
    revenue: Decimal
    orders: int


class Timeseries(TypedDict):
    """The answer of `GET …/ecommerce/revenue-timeseries`."""

    series: list[Day]
    days: int


def timeseries(question: Question) -> Timeseries:
    """Return the days, the first one first. Waits for the disk."""
    rows = question.rows(QUERY, {"zone": str(question.period.zone)})
    series = [Day(date=day, revenue=question.money(revenue), orders=orders) for day, revenue, orders in rows]
    return Timeseries(series=series, days=question.period.days)
