"""What was pulled: a set of spans of time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scheduler.plan import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.ledger import Span


class Coverage:
    """Disjoint half-open spans of instants, in order, neighbours joined. Never changes: what adds or takes away returns another."""

    __slots__ = ("_spans",)

    def __init__(self, spans: Iterable[tuple[datetime, datetime]] = ()) -> None:
        joined: list[tuple[datetime, datetime]] = []
        for start, end in sorted((start.astimezone(UTC), end.astimezone(UTC)) for start, end in spans):
            if start >= end:
                continue
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end))
            else:
                joined.append((start, end))
        self._spans = tuple(joined)

    @classmethod
    def decode(cls, spans: Iterable[Span]) -> Coverage:
        """Return what the ledger wrote."""
        return cls((datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in spans)

    def encode(self) -> list[Span]:
        """Return it as the ledger writes it: UTC instants."""
        return [(_text(start), _text(end)) for start, end in self._spans]

    def windows(self) -> list[Window]:
        """Return the spans in UTC, the earliest first."""
        return [Window(start, end) for start, end in self._spans]

    def with_(self, window: Window) -> Coverage:
        """Return this and the window."""
        return Coverage([*self._spans, (window.start, window.end)])

    def without(self, window: Window) -> Coverage:
        """Return this less the window."""
        low, high = window.start.astimezone(UTC), window.end.astimezone(UTC)
        left = [(start, min(end, low)) for start, end in self._spans]
        right = [(max(start, high), end) for start, end in self._spans]
        return Coverage([*left, *right])

    def gaps(self, within: Window) -> list[Window]:
        """Return what of `within` is not in this, the earliest first, in its zone."""
        rest = Coverage([(within.start, within.end)])
        for start, end in self._spans:
            rest = rest.without(Window(start, end))
        zone = within.start.tzinfo
        return [Window(each.start.astimezone(zone), each.end.astimezone(zone)) for each in rest.windows()]


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
