"""What was pulled: a set of spans of time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeAlias

from scheduler.plan import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.ledger import Span

_Spans: TypeAlias = tuple[tuple[datetime, datetime], ...]

_START: Final = itemgetter(0)
_END: Final = itemgetter(1)


class Coverage:
    """Disjoint half-open spans of instants, in order, neighbours joined. Never changes: what adds or takes away returns another.

    Every operation costs as much as the spans that it meets, and a copy.
    """

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
        self._spans: _Spans = tuple(joined)

    @classmethod
    def decode(cls, spans: Iterable[Span]) -> Coverage:
        """Return what the ledger wrote. Raises ValueError for what is no time."""
        return cls((datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in spans)

    def encode(self) -> list[Span]:
        """Return it as the ledger writes it: UTC instants."""
        return [(_text(start), _text(end)) for start, end in self._spans]

    def windows(self) -> list[Window]:
        """Return the spans in UTC, the earliest first."""
        return [Window(start, end) for start, end in self._spans]

    def with_(self, window: Window) -> Coverage:
        """Return this and the window."""
        low, high = window.start.astimezone(UTC), window.end.astimezone(UTC)
        if low >= high:
            return self
        # Those that only touch it are met too, to be joined.
        left = bisect_left(self._spans, low, key=_END)
        right = bisect_right(self._spans, high, key=_START)
        met = self._spans[left:right]
        if met:
            low, high = min(low, met[0][0]), max(high, met[-1][1])
        return _of((*self._spans[:left], (low, high), *self._spans[right:]))

    def without(self, window: Window) -> Coverage:
        """Return this less the window."""
        low, high = window.start.astimezone(UTC), window.end.astimezone(UTC)
        left, right = self._met(low, high)
        met = self._spans[left:right]
        if not met:
            return self
        rests = ((met[0][0], low), (high, met[-1][1]))
        kept = tuple((start, end) for start, end in rests if start < end)
        return _of((*self._spans[:left], *kept, *self._spans[right:]))

    def gaps(self, within: Window) -> list[Window]:
        """Return what of `within` is not in this, the earliest first, in its zone."""
        at, high = within.start.astimezone(UTC), within.end.astimezone(UTC)
        left, right = self._met(at, high)
        found: list[tuple[datetime, datetime]] = []
        for start, end in self._spans[left:right]:
            found.append((at, start))
            at = end
        found.append((at, high))
        zone = within.start.tzinfo
        return [Window(start.astimezone(zone), end.astimezone(zone)) for start, end in found if start < end]

    def _met(self, low: datetime, high: datetime) -> tuple[int, int]:
        """Return from which span on, and up to which, they have an instant between `low` and `high`."""
        if low >= high:
            return 0, 0
        return bisect_right(self._spans, low, key=_END), bisect_left(self._spans, high, key=_START)


def _of(spans: _Spans) -> Coverage:
    """Return what spans that are in order, disjoint and apart make up."""
    coverage = Coverage()
    coverage._spans = spans  # noqa: SLF001  # it is ours, and new
    return coverage


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
