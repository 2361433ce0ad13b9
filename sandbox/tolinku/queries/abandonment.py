"""`cart-abandonment`: what was left in carts.

A cart, and when it is abandoned, are as in `overview`: the same rate. What an abandoned cart is worth is what was
added to it in the period less what was removed, never less than nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from sandbox.tolinku.queries.question import ITEMS, percent

if TYPE_CHECKING:
    from decimal import Decimal

    from sandbox.tolinku.queries.question import Question

QUERY = f""", {ITEMS},
filled as (
    select cart, bool_or(event_type = 'purchase') as bought
    from chosen where cart is not null group by cart having bool_or(event_type = 'add_to_cart')
),
contents as (
    select cart, greatest(sum(case event_type when 'add_to_cart' then worth else -worth end), 0) as worth
    from lines where event_type <> 'purchase' group by cart
)
select count(*) filter (bought), count(*) filter (not bought), sum(worth) filter (not bought)
from filled left join contents using (cart)
"""  # noqa: S608 - made of constants


class Abandonment(TypedDict):
    """The answer of `GET …/ecommerce/cart-abandonment`."""

    abandonment_rate: Decimal
    abandoned_carts: int
    abandoned_revenue: Decimal
    completed_carts: int
    days: int


def abandonment(question: Question) -> Abandonment:
    """Return how many carts were abandoned, and with what in them. Waits for the disk."""
    ((completed, abandoned, worth),) = question.rows(QUERY)
    return Abandonment(
        abandonment_rate=percent(abandoned, abandoned + completed),
        abandoned_carts=abandoned,
        abandoned_revenue=question.money(worth),
        completed_carts=completed,
        days=question.period.days,
    )
