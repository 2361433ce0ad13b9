"""The numbers of an answer: exact until they are written, to two decimals where nothing else is given."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from sandbox.profitmetrics.formulas import Total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.profitmetrics.formulas import Formula

NOT_AVAILABLE: Final = "N/A"
RATIO_DIGITS: Final = 2


class Figure(NamedTuple):
    """A number of so many `units` of its last decimal."""

    units: int
    digits: int = 0

    def number(self) -> float:
        """Return it as JSON has it."""
        return self.units / 10**self.digits if self.digits else self.units


def evaluate(formula: Formula, sums: Sequence[int], money_digits: int) -> Figure | None:
    """Return what a formula makes of the measures; None where it divides by zero."""
    if isinstance(formula, Total):
        return Figure(_total(formula, sums), money_digits if formula.money else 0)
    divisor = prod(_total(total, sums) for total in formula.divisor)
    if not divisor:
        return None
    numerator = prod(_total(total, sums) for total in formula.numerator)
    if formula.unit == "average":
        return Figure(_divided(numerator, divisor), money_digits)
    scale = 10**RATIO_DIGITS * (100 if formula.unit == "percent" else 1)
    return Figure(_divided(numerator * scale, divisor), RATIO_DIGITS)


def compared(
    figure: Figure | None, other: Figure | None, percentage_of_zero: Literal["null", "zero", "hundred"]
) -> dict[str, Any]:
    """Return the value object of a number, with what it is compared with. Both None: null."""
    difference = percentage = None
    if figure is not None and other is not None:
        units = figure.units - other.units
        difference = Figure(units, figure.digits).number()
        if other.units:
            percentage = Figure(_divided(units * 100 * 10**RATIO_DIGITS, other.units), RATIO_DIGITS).number()
        else:
            percentage = {"null": None, "zero": 0.0, "hundred": 100.0}[percentage_of_zero]
    return {
        "value": None if figure is None else figure.number(),
        "compareValue": None if other is None else other.number(),
        "valueDiff": difference,
        "percentageDiff": percentage,
    }


def _total(total: Total, sums: Sequence[int]) -> int:
    return sum(sums[index] * weight for index, weight in total.terms)


def _divided(numerator: int, divisor: int) -> int:
    """Return a whole quotient; halves are rounded away from zero."""
    sign = -1 if (numerator < 0) != (divisor < 0) else 1
    return sign * ((2 * abs(numerator) + abs(divisor)) // (2 * abs(divisor)))
