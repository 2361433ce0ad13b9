"""What a day of traffic must come to: counted while it is made, so independent of all that it passes through."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Line:
    """One line of NDJSON, without its line feed, and what is known of it.

    `fault` is why the gateway must refuse it (None: it must not); `cents` is the revenue of a purchase or refund, which
    counts once for each `transaction_id`.
    """

    text: bytes
    event_type: str
    fault: str | None = None
    transaction_id: str | None = None
    cents: int = 0


@dataclass(slots=True)
class Figures:
    """Sums over lines of traffic.

    Money is in euro cents; refunds are positive; `repeated` counts purchases and refunds that bear the transaction of
    an earlier one, which the ingestion API takes and ignores.
    """

    sent: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    revenue_cents: int = 0
    refunds: int = 0
    refund_cents: int = 0
    repeated: int = 0

    @property
    def accepted(self) -> int:
        """How many the gateway must accept."""
        return self.sent - self.refused.total()

    def add(self, other: Figures) -> None:
        """Add another day's figures to these; no transaction may stand in both."""
        self.sent += other.sent
        self.refused.update(other.refused)
        self.orders += other.orders
        self.revenue_cents += other.revenue_cents
        self.refunds += other.refunds
        self.refund_cents += other.refund_cents
        self.repeated += other.repeated

    def as_json(self) -> dict[str, object]:
        """Return these figures as plain JSON data."""
        return {
            "sent": self.sent,
            "accepted": self.accepted,
            "refused": dict(self.refused),
            "orders": self.orders,
            "revenue_cents": self.revenue_cents,
            "refunds": self.refunds,
            "refund_cents": self.refund_cents,
            "repeated": self.repeated,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `as_json` gave. Raises KeyError, TypeError or ValueError for anything else."""
        names = ("sent", "orders", "revenue_cents", "refunds", "refund_cents", "repeated")
        refused = Counter({str(reason): int(count) for reason, count in data["refused"].items()})
        return cls(refused=refused, **{name: int(data[name]) for name in names})


def tally(lines: Iterable[Line]) -> Figures:
    """Return what these lines come to, all of them sent once and in this order."""
    figures = Figures()
    seen: set[tuple[str, str]] = set()
    for line in lines:
        figures.sent += 1
        if line.fault is not None:
            figures.refused[line.fault] += 1
        elif line.transaction_id is not None:
            transaction = (line.event_type, line.transaction_id)
            if transaction in seen:
                figures.repeated += 1
            elif line.event_type == "purchase":
                figures.orders += 1
                figures.revenue_cents += line.cents
            else:
                figures.refunds += 1
                figures.refund_cents += line.cents
            seen.add(transaction)
    return figures
