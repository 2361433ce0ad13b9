"""What is kept of one good event: its bytes, and the few values that deduplication, order and the reports need."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from sandbox.money import to_minor_unit

IMPOSSIBLE = Decimal(10) ** 12
"""From this amount (or number of items) on an event is blocked: seed 003's fraud rule "impossible revenue", whose
limit nobody knows.
"""
QUANTITY_DIGITS = Decimal("1e-4")


class Measured(NamedTuple):
    """One event as it will be stored. `revenue` in `currency`, rounded to its minor unit; `items_sold` only for
    purchases. `blocked` says why the event is silently ignored; None when it counts. `flagged` says what is suspicious
    about one that counts.
    """

    event_type: str
    transaction_id: str | None
    user_id: str | None
    cart_id: str | None
    currency: str
    revenue: Decimal | None
    items_sold: Decimal | None
    blocked: str | None
    raw: str
    flagged: str | None = None


def measure(event: dict[str, Any], raw: str, base_currency: str) -> Measured:
    """Return what is kept of `event`, which the judge found good; `raw` is its text as it arrived. Without a currency
    it is in the base currency.
    """
    kind = event["event_type"]
    currency = (event.get("currency") or base_currency).upper()
    revenue = _exact(event.get("revenue"))
    items_sold = _items_sold(event) if kind == "purchase" else None
    blocked = None
    if (revenue is not None and abs(revenue) >= IMPOSSIBLE) or (
        items_sold is not None and abs(items_sold) >= IMPOSSIBLE
    ):
        blocked, revenue, items_sold = "impossible", None, None
    return Measured(
        kind,
        event.get("transaction_id") or None,
        event.get("user_id") or None,
        event.get("cart_id") or None,
        currency,
        None if revenue is None else to_minor_unit(revenue, currency),
        None if items_sold is None else items_sold.quantize(QUANTITY_DIGITS, ROUND_HALF_UP),
        blocked,
        raw,
    )


def _items_sold(event: dict[str, Any]) -> Decimal:
    return sum((_quantity(item) for item in event.get("items") or ()), Decimal(0))


def _quantity(item: dict[str, Any]) -> Decimal:
    quantity = _exact(item.get("quantity"))
    return Decimal(1) if quantity is None else quantity


def _exact(number: float | None) -> Decimal | None:
    # The shortest text of a float is the text that was sent, as far as a float can hold it: 49.99 stays 49.99.
    return None if number is None else Decimal(repr(number))
