"""Money as whole cents: sums of cents are exact, sums of floats are not."""

from __future__ import annotations

from decimal import Decimal

import orjson


def text(cents: int) -> str:
    """Return an amount as decimal text, two places: 4999 is "49.99", -5 is "-0.05"."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02}"


def number(cents: int) -> orjson.Fragment:
    """Return an amount as a JSON number, digit for digit."""
    return orjson.Fragment(text(cents))


def cents(amount: Decimal | int) -> int:
    """Return how many cents a decimal amount is. Raises ValueError when it is no whole number of them."""
    exact = Decimal(amount) * 100
    whole = int(exact)
    if whole != exact:
        raise ValueError(f"{amount} is no whole number of cents")
    return whole
