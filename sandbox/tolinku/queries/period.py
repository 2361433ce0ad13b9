"""The span of days that a report covers: `days`, or `start` and `end`.

Nobody knows the zone of the vendor's days, nor whether `end` is inclusive: both are switches.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import MINYEAR, UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

DEFAULT_DAYS = 30
MOST_DIGITS = 9


class InvalidPeriod(ValueError):
    """The parameters name no span of days; the text says why."""


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` up to, but not including, `end`; both UTC without saying so, as the table keeps instants. `last` is
    the last day of it in `zone` that has begun; `days` is what the answer echoes.
    """

    start: datetime
    end: datetime
    days: int
    last: date
    zone: tzinfo


def period(
    query: Mapping[str, str],
    now: float,
    *,
    retention_days: int,
    end_inclusive: bool,
    clamps_dates: bool = False,
    zone: tzinfo = UTC,
) -> Period:
    """Return the span that `query` asks for at `now` (seconds since the epoch), in days of `zone`.

    With `start` and `end` (ISO dates): those days; `days` is ignored. With `clamps_dates` they, too, begin no more than
    `retention_days` ago. Else the running day and the `days` before it, 30 when absent, silently clamped to
    `retention_days`. Raises InvalidPeriod.
    """
    today = datetime.fromtimestamp(now, zone).date()
    start, end = query.get("start"), query.get("end")
    if start is not None or end is not None:
        if start is None or end is None:
            raise InvalidPeriod("start and end are used together")
        first, last = _date("start", start), _date("end", end)
        if last < first:
            raise InvalidPeriod("end is before start")
        if clamps_dates and (today - first).days > retention_days:
            first = today - timedelta(days=retention_days)
        return _between(first, last, today, zone, end_inclusive=end_inclusive)
    days = min(_days(query.get("days")), retention_days)
    return Period(_midnight(today, -days, zone), _midnight(today, 1, zone), days, today, zone)


def _between(start: date, end: date, today: date, zone: tzinfo, *, end_inclusive: bool) -> Period:
    if end < start:
        start, end_inclusive = end, False
    days = (end - start).days + end_inclusive
    # Without any day in it the period still has a place: the empty span before `end`.
    last = end if end_inclusive or end == start else end - timedelta(days=1)
    return Period(_midnight(start, 0, zone), _midnight(end, int(end_inclusive), zone), days, min(last, today), zone)


def _midnight(day: date, days_later: int, zone: tzinfo) -> datetime:
    try:
        midnight = datetime.combine(day + timedelta(days=days_later), time(), tzinfo=zone)
        return midnight.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        return datetime.min if days_later < 0 or day.year == MINYEAR else datetime.max  # noqa: DTZ901 - naive like the table's instants


def _days(text: str | None) -> int:
    if text is None:
        return DEFAULT_DAYS
    if not (text.isascii() and text.isdigit() and text.strip("0")):
        raise InvalidPeriod("days must be a positive integer")
    return int(text) if len(text) <= MOST_DIGITS else timedelta.max.days


def _date(name: str, text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise InvalidPeriod(f"{name} must be an ISO date") from error
