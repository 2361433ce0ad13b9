"""The days that a question spans, and what the vendor's echo tells of those that it answered.

The vendor knows whole days only, and does not say of which zone: they are taken for the export's (UTC unless the
configuration says otherwise).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from scheduler.buckets import day_start
from scheduler.plan import Window
from scheduler.sources.tolinku.parameters import as_day

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Days:
    """From `first` to `last`, both included."""

    first: date
    last: date

    @property
    def count(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1


def days_of(window: Window, now: datetime, zone: ZoneInfo) -> Days:
    """Return the days of `window` in `zone`, without those that have not begun at `now`: leaving them out of the answer, the vendor
    would seem to have clamped it.
    """
    first = window.start.astimezone(zone).date()
    last = (window.end.astimezone(zone) - timedelta(microseconds=1)).date()
    return Days(first, max(first, min(last, now.astimezone(zone).date())))


def as_query(days: Days, *, end_inclusive: bool) -> dict[str, str]:
    """Return the parameters that ask for `days`."""
    end = days.last if end_inclusive else days.last + ONE_DAY
    return {"start": days.first.isoformat(), "end": end.isoformat()}


def asked_by_query(query: Mapping[str, Any], *, end_inclusive: bool) -> int | None:
    """Return how many days a query with dates of its own asks for; None when it leaves that to the vendor."""
    if "start" in query and "end" in query:
        first, end = as_day(query["start"]), as_day(query["end"])
        return (end - first).days + (1 if end_inclusive else 0)
    days = query.get("days")
    return days if isinstance(days, int) else None


def answered(window: Window, days: Days, echo: int, earliest: date | None, zone: ZoneInfo) -> Window | None:
    """Return what was answered of `window` when the vendor says that it took `echo` of the `days` asked for; None: all of it.

    A clamp cuts at the front. `earliest`: the first day that the answer has a row of: it was answered, whatever the echo counts.
    """
    first = days.last + ONE_DAY - timedelta(days=max(echo, 0))
    if earliest is not None:
        first = min(first, earliest)
    if first <= days.first:
        return None
    return Window(window.end if first > days.last else day_start(first, zone), window.end)


def day(date_of_row: date, zone: ZoneInfo) -> Window:
    """Return a day as a bucket."""
    return Window(day_start(date_of_row, zone), day_start(date_of_row + ONE_DAY, zone))
