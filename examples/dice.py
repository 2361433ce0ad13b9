"""Chance that is the same on every machine and in every Python."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


class Dice:
    """Random choices from a seed.

    Built on `random.random` alone, whose sequence Python promises to keep; it does not for `choice` and the rest.
    """

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311  # made-up shoppers, no secrets

    def chance(self, probability: float) -> bool:
        """Return True with this probability, 0 to 1."""
        return self._random.random() < probability

    def between(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return low + int(self._random.random() * (high - low + 1))

    def pick(self, among: Sequence[T]) -> T:
        """Return one of `among`, each as likely as the others."""
        return among[int(self._random.random() * len(among))]

    def lean(self, among: Sequence[T]) -> T:
        """Return one of `among`, the earlier ones more often: best sellers, the usual campaign."""
        return among[int(self._random.random() ** 2 * len(among))]
