"""How many reports are asked for together: what a vendor cannot bring in time for many, it may for fewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST: Final = 20
"""How many reports go into one request. The vendor documents no limit."""
HOPELESS: Final = 2
"""So many exports in a row that did not even come alone, and no other is asked for: each costs minutes, and it is the vendor."""

T = TypeVar("T")


class Portions:
    """One account's. Half as many after a request that did not come in time, one more after each full one that did."""

    def __init__(self) -> None:
        self._most = MOST
        self._late: set[str] = set()
        self._in_a_row = 0

    def next(self, waiting: Sequence[T], name: Callable[[T], str]) -> list[T]:
        """Return which of those that wait go into the next request. An export that did not come when it was asked for alone has its turn
        after the others, and alone again; `name` tells whose each is.
        """
        prompt = [each for each in waiting if name(each) not in self._late]
        return prompt[: self._most] if prompt else list(waiting[:1])

    def came(self, exports: Sequence[str]) -> None:
        """Take note that a request for these was answered."""
        self._in_a_row = 0
        self._late.difference_update(exports)
        if len(exports) >= self._most:
            self._most = min(self._most + 1, MOST)

    def did_not_come(self, exports: Sequence[str]) -> bool:
        """Take note that the answer for these did not come in time; return whether there is hope for others."""
        if len(exports) > 1:
            self._most = len(exports) // 2
            return True
        self._late.update(exports)
        self._in_a_row += 1
        return self._in_a_row < HOPELESS
