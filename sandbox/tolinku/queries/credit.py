"""How an order's revenue is shared among the channels that led to it (seed 003's three models), to the last cent."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HALF_LIFE_DAYS: Final = 7.0
"""After how long a click is worth half; the vendor's is unknown."""


def last_click(ages: Sequence[float]) -> list[float]:
    """Weigh the most recent click with all, the others with nothing."""
    return [0.0] * (len(ages) - 1) + [1.0]


def linear(ages: Sequence[float]) -> list[float]:
    """Weigh all clicks alike."""
    return [1.0] * len(ages)


def time_decay(ages: Sequence[float]) -> list[float]:
    """Weigh clicks by half for each seven days that they are older."""
    return [math.exp2(-(age - ages[-1]) / HALF_LIFE_DAYS) for age in ages]


MODELS: Final[Mapping[str, Callable[[Sequence[float]], list[float]]]] = {
    "last_click": last_click,
    "linear": linear,
    "time_decay": time_decay,
}
"""How each model weighs clicks, given by their ages in days (at least one, the oldest first)."""


def shares(amount: Decimal, weights: Sequence[float]) -> list[Decimal]:
    """Split an amount by weights (none negative, not all 0) into parts of its own digits, which add up to it exactly.

    Each part is at most one unit of the last digit away from its fair share.
    """
    unit = Decimal(1).scaleb(int(amount.as_tuple().exponent))
    whole = Decimal(sum(weights))
    given, parts = Decimal(0), []
    reached = 0.0
    for weight in weights[:-1]:
        reached += weight
        # What was owed until here, less what was given: no rounding is ever lost.
        owed = (amount * Decimal(reached) / whole).quantize(unit, ROUND_HALF_UP)
        parts.append(owed - given)
        given = owed
    return [*parts, amount - given]
