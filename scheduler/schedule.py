"""When an export is due: cron in its zone, or every so long."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cronsim import CronSim

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from runtime.settings import ExportSettings

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_MOST_JITTER: Final = timedelta(seconds=30)
_LEAST_INTERVAL: Final = timedelta(seconds=10)


class Schedule:
    """Due times; aware in and out. Of `expression` (cron, in `zone`) and `every` (aligned to the epoch) one is given.

    A time that the clock jumps over in spring comes once, at the first instant after; one that comes twice in autumn comes once,
    but every hour is every real hour.
    """

    def __init__(self, *, expression: str | None = None, zone: ZoneInfo, every: timedelta | None = None) -> None:
        self._expression = expression
        self._zone = zone
        self._every = every

    @classmethod
    def of(cls, export: ExportSettings) -> Schedule:
        """Return when `export` is due."""
        return cls(expression=export.schedule, zone=export.timezone, every=export.every)

    def after(self, instant: datetime) -> datetime:
        """Return the first due time later than `instant`."""
        if self._every is not None:
            return _EPOCH + ((instant - _EPOCH) // self._every + 1) * self._every
        assert self._expression is not None  # noqa: S101  # one of both is there
        # In the hour that comes twice the library may begin with times that are over.
        return next(
            due for due in CronSim(self._expression, instant.astimezone(self._zone)) if due > instant.astimezone(UTC)
        )

    def missed(self, last: datetime, now: datetime) -> datetime | None:
        """Return the latest due time after `last`, up to and including `now`; None when there is none."""
        if self.after(last) > now:
            return None
        if self._every is not None:
            return _EPOCH + ((now - _EPOCH) // self._every) * self._every
        step = timedelta(hours=1)
        while (due := self.after(max(now - step, last))) > now and now - step > last:
            step *= 4
        while (later := self.after(due)) <= now:
            due = later
        return due


def jitter(name: str, schedule: Schedule) -> timedelta:
    """Return how much later than due `name` begins, always the same: at most a tenth of the interval and 30 s, so that what is due
    at once does not ask at once. None for intervals under 10 s.
    """
    first = schedule.after(_EPOCH)
    interval = schedule.after(first) - first
    if interval < _LEAST_INTERVAL:
        return timedelta(0)
    return min(interval / 10, _MOST_JITTER) * (zlib.crc32(name.encode()) / 2**32)
