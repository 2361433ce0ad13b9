"""Which orders were seen in the last 24 hours: seed 003, "the second event is silently ignored"."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

WINDOW_SECONDS = 24 * 60 * 60
DEDUPLICATED = ("purchase", "refund")


class Order(NamedTuple):
    """What identifies a purchase or a refund."""

    appspace: str
    event_type: str
    transaction_id: str


class DeduplicationWindow:
    """Orders that were taken in the last 24 hours, each with when it first counted (seconds since the epoch).

    An order that is ignored does not prolong its own window. Used by one thread; holds one entry for each order of a
    day.
    """

    def __init__(self, orders: Iterable[tuple[Order, float]] = ()) -> None:
        self._first: dict[Order, float] = dict(orders)

    def __len__(self) -> int:
        return len(self._first)

    def seen(self, order: Order, at: float, *, across_types: bool) -> bool:
        """Say whether `order` counted less than 24 hours before `at`; with `across_types` as either a purchase or a
        refund.
        """
        twins = [order._replace(event_type=kind) for kind in DEDUPLICATED] if across_types else [order]
        return any(self._counted_lately(twin, at) for twin in twins)

    def _counted_lately(self, order: Order, at: float) -> bool:
        first = self._first.get(order)
        return first is not None and at - first < WINDOW_SECONDS

    def remember(self, order: Order, at: float) -> None:
        """Note that `order` counted at `at`, and forget what is too old by then."""
        self._first.pop(order, None)
        self._first[order] = at
        # The oldest stand first: each was put at the end when it counted.
        while at - self._first[oldest := next(iter(self._first))] >= WINDOW_SECONDS:
            del self._first[oldest]

    def forget(self, order: Order) -> None:
        """Take back a `remember` whose transaction failed."""
        self._first.pop(order, None)
