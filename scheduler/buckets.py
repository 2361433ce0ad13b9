"""Buckets of time in a zone: hours are absolute, days and everything above begin at the first instant of a local date.

Python compares and subtracts datetimes of one zone by the wall clock. Whatever is compared here is compared in UTC.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from scheduler.plan import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import tzinfo
    from zoneinfo import ZoneInfo

    from runtime.spans import Compare
    from schemas.exports import Resolution

WeekStart: TypeAlias = Literal["monday", "sunday"]

HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_INSTANT: Final = timedelta(microseconds=1)
_MONTHS: Final = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_LONGEST_JUMP: Final = timedelta(hours=3)
"""By how much a clock at most jumps over a midnight, but for the zones that crossed the date line: they did so at midnight."""


def day_start(day: date, zone: tzinfo) -> datetime:
    """Return the first instant of a local date: later than midnight where the clock jumps over it, the first where it comes twice."""
    midnight = datetime.combine(day, time(), tzinfo=zone)
    at = midnight.astimezone(UTC)
    there = at.astimezone(zone)
    if there.replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return there
    found = _first(at - _LONGEST_JUMP, at + _LONGEST_JUMP, lambda moment: moment.astimezone(zone).date() >= day)
    return found.astimezone(zone)


def floor(instant: datetime, resolution: Resolution, zone: ZoneInfo, *, week_starts: WeekStart = "monday") -> datetime:
    """Return the start of the bucket that holds `instant` (aware). Raises ValueError for TOTAL and NONE, which have no buckets.

    An HOUR begins whenever the clock shows a full hour, and where it is put forward or back off the full hour: there, hours
    are shorter.
    """
    if resolution == "HOUR":
        return _hour_start(instant.astimezone(UTC), zone)
    local = instant.astimezone(zone)
    start = day_start(_first_day(local.date(), resolution, week_starts), zone)
    if local.fold:
        # Put back over midnight just after it, the clock shows the day before once more: the new day has begun nonetheless.
        after = following(start, resolution, zone, week_starts=week_starts)
        if after.astimezone(UTC) <= local.astimezone(UTC):
            return after
    return start


def following(
    start: datetime, resolution: Resolution, zone: ZoneInfo, *, week_starts: WeekStart = "monday"
) -> datetime:
    """Return the start of the bucket after the one that begins at `start`."""
    if resolution == "HOUR":
        return _hour_end(start.astimezone(UTC), zone)
    first = _first_day(start.astimezone(zone).date(), resolution, week_starts)
    if resolution in _MONTHS:
        return day_start(_months_later(first, _MONTHS[resolution]), zone)
    return day_start(first + timedelta(days=7 if resolution == "WEEK" else 1), zone)


def preceding(
    start: datetime, resolution: Resolution, zone: ZoneInfo, *, week_starts: WeekStart = "monday"
) -> datetime:
    """Return the start of the bucket before the one that begins at `start`."""
    before = start.astimezone(UTC) - _INSTANT
    return floor(before, resolution, zone, week_starts=week_starts)


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
    """Return the window that holds all that the buckets of `window`, of any resolution, are compared with, in its zone.

    The same clock times on earlier dates, a day that its month lacks being the month's last; whole months map to whole
    months. A time that the clock jumps over lies as far behind the jump, and one that comes twice is both, unless the window's
    own is one of two. Raises ValueError for a window without a zone.
    """
    zone = _zone_of(window)
    final = (window.end.astimezone(UTC) - _INSTANT).astimezone(zone)
    first, last, end = window.start.date(), final.date(), window.end.date()
    low, high = _earlier(first, compare), _earlier(last, compare)
    from_midnight, to_midnight = _begins_day(window.start, zone), _begins_day(window.end, zone)
    if from_midnight and to_midnight and first.day == end.day == 1:
        high = _earlier(end, compare) - _DAY
    # Of several days that share one, because their month is the longer, each means all of it.
    if from_midnight or (first < last and _earlier(first + _DAY, compare) == low):
        start = day_start(low, zone)
    else:
        start = _twice(low, window.start, zone)[window.start.fold].astimezone(zone)
    if to_midnight or (first < last and _earlier(last - _DAY, compare) == high):
        return Window(start, day_start(high + _DAY, zone))
    own, moved = _twice(last, final, zone), _twice(high, final, zone)
    return Window(start, (moved[final.fold if own[0] != own[1] else 1] + _INSTANT).astimezone(zone))


def _zone_of(window: Window) -> tzinfo:
    if window.start.tzinfo is None:
        raise ValueError("a window without a zone")
    return window.start.tzinfo


def _begins_day(instant: datetime, zone: tzinfo) -> bool:
    return instant.astimezone(UTC) == day_start(instant.date(), zone).astimezone(UTC)


def _twice(day: date, clock: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the instants (UTC) at which the clock shows the time of `clock` on `day`: the same one twice if there is but one."""
    first, second = (
        datetime.combine(day, clock.time().replace(fold=fold), tzinfo=zone).astimezone(UTC) for fold in (0, 1)
    )
    return first, max(first, second)  # where the clock jumps over it, the second is the earlier one


def _earlier(day: date, compare: Compare) -> date:
    return _months_later(day - timedelta(days=compare.days), -compare.months)


def _hour_start(at: datetime, zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone)
    full = at - _into_hour(local)
    if full.astimezone(zone).utcoffset() != local.utcoffset():
        full = _first(full, at, lambda moment: moment.astimezone(zone).utcoffset() == local.utcoffset())
    return full.astimezone(zone)


def _hour_end(at: datetime, zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone)
    full = at - _into_hour(local) + HOUR
    if full.astimezone(zone).utcoffset() != local.utcoffset():
        full = _first(at, full, lambda moment: moment.astimezone(zone).utcoffset() != local.utcoffset())
    return full.astimezone(zone)


def _into_hour(local: datetime) -> timedelta:
    return timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def _first(low: datetime, high: datetime, reached: Callable[[datetime], bool]) -> datetime:
    """Return the first second from `low` up to `high` (UTC) that has `reached` it, as all after it have; `high` if none has before."""
    seconds = range(int((high - low).total_seconds()))
    return low + timedelta(
        seconds=bisect_left(seconds, True, key=lambda second: reached(low + timedelta(seconds=second)))  # noqa: FBT003  # what is looked for
    )


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
