"""How long to wait before the next try."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


class Backoff:
    """Exponential backoff with full jitter: anything from 0 to `base` · 2ⁿ seconds, never more than `cap`.

    Full jitter spreads those who failed together the widest; what keeps a single one from trying at once again and
    again is that n grows.
    """

    def __init__(self, random: Random, *, base: float, cap: float) -> None:
        self._random = random
        self._base = base
        self._cap = cap

    def delay(self, failures: int) -> float:
        """Return the seconds to wait after this many failures in a row (at least 1)."""
        return self._random.uniform(0, self.longest(failures))

    def longest(self, failures: int) -> float:
        """Return the most that `delay` can answer."""
        # The exponent is bounded because failures have no bound and floats have one.
        return min(self._cap, self._base * 2.0 ** min(failures - 1, 64))
