"""Time as the API cuts it: periods in a time zone, and the buckets of a period.

Boundaries are computed on the zone's clock: a day has 23 or 25 hours where the clocks change, and at HOUR the repeated
hour comes twice. Instants are whole seconds since 1970.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from sandbox.profitmetrics.switches import Weekday

Resolution: TypeAlias = Literal["HOUR", "DAY", "WEEK", "MONTH", "TOTAL"]

HOUR_SECONDS: Final = 3600
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Period(NamedTuple):
    """From `start` up to, but not including, `end`: instants."""

    start: int
    end: int


class Bucket(NamedTuple):
    """One bucket of a period. `local` is where it begins on the zone's clock, also where the period begins later; `start`
    and `end` are what of it lies in the period.
    """

    local: datetime
    start: int
    end: int


class Calendar:
    """The calendar of a time zone, with weeks that begin on `week_starts`."""

    def __init__(self, zone: ZoneInfo, week_starts: Weekday) -> None:
        self.zone = zone
        self._week_starts = WEEKDAYS.index(week_starts)

    def instant(self, local: datetime) -> int:
        """Return the instant of a naive local time: the first of two, and after a gap what the clock shows instead."""
        return int(local.replace(tzinfo=self.zone, fold=0).timestamp())

    def local(self, instant: int) -> datetime:
        """Return what the zone's clock shows, naive."""
        return datetime.fromtimestamp(instant, self.zone).replace(tzinfo=None, fold=0)

    def midnight(self, instant: int, days_earlier: int = 0) -> int:
        """Return the instant at which the local day of `instant` began, or the day so many days earlier."""
        today = self.local(instant).date()
        days = min(days_earlier, today.toordinal() - date(1970, 1, 2).toordinal())
        return self._day(today - timedelta(days=days))

    def buckets(self, period: Period, resolution: Resolution) -> Iterator[Bucket]:
        """Yield the buckets of a period in the order of time; the first and the last may be parts."""
        if resolution == "TOTAL":
            yield Bucket(self.local(period.start), period.start, period.end)
            return
        local, start = self._floor(period.start, resolution)
        while start < period.end:
            following, end = self._after(local, start, resolution)
            yield Bucket(local, max(start, period.start), min(end, period.end))
            local, start = following, end

    def _floor(self, instant: int, resolution: Resolution) -> tuple[datetime, int]:
        clock = datetime.fromtimestamp(instant, self.zone)
        if resolution == "HOUR":
            start = instant - clock.minute * 60 - clock.second
            return self._hour(start), start
        day = clock.date()
        if resolution == "WEEK":
            day -= timedelta(days=(day.weekday() - self._week_starts) % 7)
        elif resolution == "MONTH":
            day = day.replace(day=1)
        return datetime(day.year, day.month, day.day), self._day(day)  # noqa: DTZ001  # the zone's clock

    def _after(self, local: datetime, start: int, resolution: Resolution) -> tuple[datetime, int]:
        if resolution == "HOUR":
            # Where the clock moves by half an hour, the hour that it moves in is as much longer or shorter.
            clock = datetime.fromtimestamp(start, UTC).astimezone(self.zone)
            end = start + HOUR_SECONDS - clock.minute * 60 - clock.second
            return self._hour(end), end
        if resolution == "MONTH":
            day = (local + timedelta(days=31)).replace(day=1).date()
        else:
            day = local.date() + timedelta(days=7 if resolution == "WEEK" else 1)
        return datetime(day.year, day.month, day.day), self._day(day)  # noqa: DTZ001  # as above

    def _hour(self, instant: int) -> datetime:
        return self.local(instant).replace(minute=0, second=0)

    def _day(self, day: date) -> int:
        # Where a day lacks its midnight, it begins when the clock leaps over it.
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp())
