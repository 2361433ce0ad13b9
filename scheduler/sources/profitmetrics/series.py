"""The buckets of one answer as they come: local times put in order, and told from what was not asked for."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import count
from typing import TYPE_CHECKING, Final

from scheduler.buckets import HOUR, day_start, floor, following
from scheduler.errors import ExportRefused
from scheduler.local_times import LocalTimes
from scheduler.plan import Window
from scheduler.sources.profitmetrics.stream import Malformed

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from scheduler.buckets import WeekStart
    from schemas.exports import Resolution

_DATE_LENGTH: Final = len("2026-01-31")


class Series:
    """Buckets of one resolution in one zone, in the order of time, where a repeated hour comes twice."""

    def __init__(self, zone: ZoneInfo, resolution: Resolution, week_starts: WeekStart) -> None:
        self._zone = zone
        self._resolution = resolution
        self._week_starts = week_starts
        self._times = LocalTimes(zone)
        self._last: datetime | None = None

    def bucket(self, text: object, *, may_be_cut: bool = False) -> Window:
        """Return the bucket that begins at a local time (HOUR) or on a day; or, if it `may_be_cut`, within which the answer begins.

        Raises Malformed for no time at all, or one that does not follow the last; ExportRefused where weeks begin on another
        day than configured.
        """
        told = self._hour(text) if self._resolution == "HOUR" else day_start(day(text), self._zone)
        start = floor(told, self._resolution, self._zone, week_starts=self._week_starts)
        if start.astimezone(UTC) != told.astimezone(UTC) and not may_be_cut:
            if self._resolution == "WEEK":
                message = f"weeks do not begin on {self._week_starts} at the vendor: set week_starts of the account"
                raise ExportRefused(message)
            raise Malformed(f"{str(text)[:40]!r} begins no bucket of {self._resolution}")
        if self._last is not None and start.astimezone(UTC) <= self._last.astimezone(UTC):
            raise Malformed(f"{str(text)[:40]!r} does not follow the bucket before it")
        self._last = start
        return Window(start, self._after(start))

    def rest(self, window: Window, end: datetime | None, now: datetime, *, cuts: bool) -> Window | None:
        """Return what of a window an answer lacks whose last bucket ends at `end`; None: nothing, or no more than the running bucket.

        The vendor either sends no empty buckets or cuts answers off: asked for alone, the rest tells which. `cuts`: it was
        found to cut them off, so that even the running bucket is asked for. After an answer without any bucket there is
        nothing to go on from.
        """
        if self._resolution == "TOTAL" or end is None or end.astimezone(UTC) >= window.end.astimezone(UTC):
            return None
        running = self._after(end).astimezone(UTC) > now.astimezone(UTC)
        return None if running and not cuts else Window(end, window.end)

    def _after(self, start: datetime) -> datetime:
        return following(start, self._resolution, self._zone, week_starts=self._week_starts)

    def _hour(self, text: object) -> datetime:
        if not isinstance(text, str):
            raise Malformed("a bucket without a timestamp")
        try:
            return self._times.read(text)
        except ValueError as error:
            raise Malformed(f"the timestamp {text[:40]!r}") from error


def day(text: object) -> date:
    """Return the day of a bucket's timestamp, with or without a time. Raises Malformed."""
    if not isinstance(text, str):
        raise Malformed("a bucket without a timestamp")
    try:
        return date.fromisoformat(text[:_DATE_LENGTH])
    except ValueError as error:
        raise Malformed(f"the timestamp {text[:40]!r}") from error


def holds(window: Window, bucket: Window) -> bool:
    """Return whether a bucket lies within what was asked for."""
    begins = bucket.start.astimezone(UTC)
    return window.start.astimezone(UTC) <= begins < window.end.astimezone(UTC)


def unmistakable(*windows: Window) -> list[Window]:
    """Return the windows widened, all alike, until none of their ends is a local time that comes twice.

    The vendor takes local times without offset, and nobody knows which of two it takes one for. What is too much is not
    taken from the answer.
    """
    before = next(n for n in count() if not any(_comes_twice(_moved(each.start, -n)) for each in windows))
    after = next(n for n in count() if not any(_comes_twice(_moved(each.end, n)) for each in windows))
    return [Window(_moved(each.start, -before), _moved(each.end, after)) for each in windows]


def local(moment: datetime) -> str:
    """Return a time as the vendor wants it: local, without offset."""
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


def _moved(moment: datetime, hours: int) -> datetime:
    return (moment.astimezone(UTC) + hours * HOUR).astimezone(moment.tzinfo)


def _comes_twice(moment: datetime) -> bool:
    return moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset()
