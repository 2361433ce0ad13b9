"""`cohorts`: what the users who first bought in a month brought in that month and in each later one.

A user's month is that of the first purchase ever, in the zone of the period. The cohorts are those of the last
`months` months up to the period's last day, the newest first; a month without new buyers is no cohort. Months that
have begun are all there, with 0 where nothing was bought. What the date parameters mean here is left open by seed 003:
only the end of the period counts. Purchases without a `user_id` belong to nobody.

`avg_ltv` is all the revenue in the matrix over all its users, `total_purchasing_users`.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict

from sandbox.tolinku.queries.parameters import whole

if TYPE_CHECKING:
    from sandbox.tolinku.queries.question import Question

DEFAULT_MONTHS = 6
MOST_MONTHS = 120
MONTHS = 12
"""Of a year."""

QUERY = """,
bought as (
    select user_id, money, year(local) * 12 + month(local) - 1 as month  -- counted since the year 0
    from (select *, arrived_at at time zone 'UTC' at time zone $zone as local from orders where user_id is not null)
),
users as (select user_id, min(month) as cohort from bought group by user_id having cohort >= $first)
select cohort, month, sum(money), count(distinct user_id)
from bought join users using (user_id) group by cohort, month order by cohort desc, month
"""


class Cohort(TypedDict):
    """One month's new buyers. `revenue_by_month`: by months since then, from "0" on."""

    month: str
    users: int
    revenue_by_month: dict[str, Decimal]


class Cohorts(TypedDict):
    """The answer of `GET …/ecommerce/cohorts`."""

    cohorts: list[Cohort]
    avg_ltv: Decimal
    total_purchasing_users: int


def cohorts(question: Question) -> Cohorts:
    """Return the cohorts. Waits for the disk; raises InvalidParameter."""
    months = whole(question.asked, "months", default=DEFAULT_MONTHS, most=MOST_MONTHS)
    last = question.period.last.year * MONTHS + question.period.last.month - 1
    values = {"zone": str(question.period.zone), "first": last - months + 1}
    sums: dict[int, dict[int, Decimal]] = defaultdict(dict)
    users: dict[int, int] = {}
    for cohort, month, amount, buyers in question.rows(QUERY, values, since=datetime.min):  # noqa: DTZ901 - naive like the table's instants
        sums[cohort][month] = question.money(amount)
        users.setdefault(cohort, buyers)  # everybody of a cohort bought in its first month
    total = sum(users.values())
    revenue = sum((amount for row in sums.values() for amount in row.values()), Decimal(0))
    matrix = [
        Cohort(
            month=f"{cohort // MONTHS:04}-{cohort % MONTHS + 1:02}",
            users=users[cohort],
            revenue_by_month={
                str(month - cohort): row.get(month, question.money(None)) for month in range(cohort, last + 1)
            },
        )
        for cohort, row in sums.items()
    ]
    return Cohorts(
        cohorts=matrix,
        avg_ltv=question.money(revenue / total if total else None),
        total_purchasing_users=total,
    )
