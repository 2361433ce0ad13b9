"""Buckets of time in a zone: hours are absolute, days and everything above begin at the first instant of a local date.

Python compares and subtracts datetimes of one zone by the wall clock. Whatever is compared here is compared in UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from scheduler.plan import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from runtime.spans import Compare
    from schemas.exports import Resolution

WeekStart: TypeAlias = Literal["monday", "sunday"]

HOUR = timedelta(hours=1)
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant of a local date: later than midnight where the clock jumps over it, the first where it comes twice."""
    midnight = datetime.combine(day, time(), tzinfo=zone)
    there = midnight.astimezone(UTC).astimezone(zone)
    if there.replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return there
    # The clock jumps over midnight: with the offset of before the jump this instant is as far behind it as midnight lacks.
    low, high = midnight.astimezone(UTC) - timedelta(hours=3), midnight.astimezone(UTC) + timedelta(hours=3)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        low, high = (low, middle) if middle.astimezone(zone).date() >= day else (middle, high)
    return high.replace(microsecond=0).astimezone(zone)


def floor(instant: datetime, resolution: Resolution, zone: ZoneInfo, *, week_starts: WeekStart = "monday") -> datetime:
    """Return the start of the bucket that holds `instant` (aware). Raises ValueError for TOTAL and NONE, which have no buckets."""
    local = instant.astimezone(zone)
    if resolution == "HOUR":
        into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return (instant.astimezone(UTC) - into).astimezone(zone)
    return day_start(_first_day(local.date(), resolution, week_starts), zone)


def following(
    start: datetime, resolution: Resolution, zone: ZoneInfo, *, week_starts: WeekStart = "monday"
) -> datetime:
    """Return the start of the bucket after the one that begins at `start`."""
    if resolution == "HOUR":
        # Where the clock moves by less than an hour, the next full hour is not an hour away.
        return floor(start.astimezone(UTC) + HOUR, "HOUR", zone)
    first = _first_day(start.astimezone(zone).date(), resolution, week_starts)
    if resolution in _MONTHS:
        return day_start(_months_later(first, _MONTHS[resolution]), zone)
    return day_start(first + timedelta(days=7 if resolution == "WEEK" else 1), zone)


def buckets(
    window: Window, resolution: Resolution, zone: ZoneInfo, *, week_starts: WeekStart = "monday"
) -> Iterator[Window]:
    """Yield the buckets of a window that begins and ends at buckets' starts, in order."""
    start, end = window.start, window.end.astimezone(UTC)
    while start.astimezone(UTC) < end:
        after = following(start, resolution, zone, week_starts=week_starts)
        yield Window(start, after)
        start = after


def widened(window: Window, resolution: Resolution, zone: ZoneInfo, *, week_starts: WeekStart = "monday") -> Window:
    """Return the window from the start of its first bucket to the end of its last."""
    start = floor(window.start, resolution, zone, week_starts=week_starts)
    end = floor(window.end, resolution, zone, week_starts=week_starts)
    if end.astimezone(UTC) < window.end.astimezone(UTC):
        end = following(end, resolution, zone, week_starts=week_starts)
    return Window(start, end)


def shifted(window: Window, compare: Compare) -> Window:
    """Return the window as much earlier as `compare` says, by the calendar: the same clock times on earlier dates, a day that
    its month lacks being the month's last.
    """
    return Window(_earlier(window.start, compare), _earlier(window.end, compare))


def _earlier(instant: datetime, compare: Compare) -> datetime:
    day = instant.date() - timedelta(days=compare.days)
    day = _months_later(day, -compare.months)
    moved = datetime.combine(day, instant.time(), tzinfo=instant.tzinfo)
    return moved.astimezone(UTC).astimezone(instant.tzinfo)


def _first_day(day: date, resolution: Resolution, week_starts: WeekStart) -> date:
    match resolution:
        case "DAY":
            return day
        case "WEEK":
            return day - timedelta(days=day.weekday() if week_starts == "monday" else (day.weekday() + 1) % 7)
        case "MONTH":
            return day.replace(day=1)
        case "QUARTER":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "YEAR":
            return day.replace(month=1, day=1)
    raise ValueError(f"{resolution} has no buckets")


def _months_later(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    last = (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month, min(day.day, last))
