"""When an export is due: cron in its zone, or every so long."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from cronsim import CronSim

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from runtime.settings import ExportSettings

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_MOST_JITTER: Final = timedelta(seconds=30)
_LEAST_INTERVAL: Final = timedelta(seconds=10)
_HOURS: Final = 24
_LOOKED_AT: Final = 5
"""How many due times tell how far apart they are: cron's need not be evenly spread."""


class Schedule:
    """Due times; aware in and out. Of `expression` (cron, in `zone`) and `every` (aligned to the epoch) one is given.

    A schedule that names hours goes by the clock on the wall: a time that is jumped over in spring comes once, at the first
    instant after, and one that comes twice in autumn comes once, the first time. One that is due in all hours is due in every
    real hour. Raises CronSimError for what is no cron expression.
    """

    def __init__(self, *, expression: str | None = None, zone: ZoneInfo, every: timedelta | None = None) -> None:
        self._expression = None if expression is None else _spelt_out(expression)
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
        found = next(
            due for due in CronSim(self._expression, instant.astimezone(self._zone)) if due > instant.astimezone(UTC)
        )
        # It may name a midnight that there is not.
        return found.astimezone(UTC).astimezone(self._zone)

    def missed(self, last: datetime, now: datetime) -> datetime | None:
        """Return the latest due time after `last`, up to and including `now`; None when there is none.

        After a year it costs hardly more than after an hour.
        """
        end = now.astimezone(UTC)
        due = self.after(last).astimezone(UTC)
        if due > end:
            return None
        if self._every is not None:
            return _EPOCH + ((end - _EPOCH) // self._every) * self._every
        # Nothing is due between `rest` and `end`: what lies before is halved until the last is found.
        rest = end
        while (later := self.after(due).astimezone(UTC)) <= end:
            middle = due + (rest - due) / 2
            probe = self.after(middle).astimezone(UTC)
            if probe <= end:
                due = probe
            else:
                due, rest = later, middle
        return due.astimezone(self._zone)


def jitter(name: str, schedule: Schedule) -> timedelta:
    """Return how much later than due `name` begins, always the same: at most a tenth of the interval and 30 s, so that what is due
    at once does not ask at once. None for intervals under 10 s.
    """
    dues = [schedule.after(_EPOCH)]
    while len(dues) < _LOOKED_AT:
        dues.append(schedule.after(dues[-1]))
    interval = min(later.astimezone(UTC) - due.astimezone(UTC) for due, later in pairwise(dues))
    if interval < _LEAST_INTERVAL:
        return timedelta(0)
    return min(interval / 10, _MOST_JITTER) * (zlib.crc32(name.encode()) / 2**32)


def _spelt_out(expression: str) -> str:
    """Return the expression so that only one due in all hours has a star there: by that the library tells what goes by real hours."""
    _, _, *days = expression.split()
    known = CronSim(expression, _EPOCH)
    hours = "*" if len(known.hours) == _HOURS else _list(known.hours)
    return " ".join((_list(known.minutes), hours, *days))


def _list(numbers: set[int]) -> str:
    return ",".join(map(str, sorted(numbers)))
