"""`funnel`: how many events of each step there were. What is counted is left open by seed 003: events, as in the
overview's `add_to_cart_rate`, so that a step may have more of them than the one before it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict

from sandbox.tolinku.queries.question import percent

if TYPE_CHECKING:
    from sandbox.tolinku.queries.question import Question

STEPS = ("view_item", "add_to_cart", "view_cart", "begin_checkout", "add_payment_info", "purchase")
QUERY = "select event_type, count(*) from chosen group by event_type"


class Step(TypedDict):
    """One step; `percentage` is of the step before it."""

    name: str
    count: int
    percentage: Decimal


class Funnel(TypedDict):
    """The answer of `GET …/ecommerce/funnel`."""

    steps: list[Step]
    days: int


def funnel(question: Question) -> Funnel:
    """Return the six steps; the first is always 100 percent. Waits for the disk."""
    counts: dict[str, int] = dict(question.rows(QUERY))
    steps = []
    before = None
    for name in STEPS:
        count = counts.get(name, 0)
        steps.append(
            Step(name=name, count=count, percentage=Decimal(100) if before is None else percent(count, before))
        )
        before = count
    return Funnel(steps=steps, days=question.period.days)
