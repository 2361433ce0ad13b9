"""The span of days that a report covers: `days`, or `start` and `end`, whole days in UTC.

Nobody knows the zone of the vendor's days (UTC here), nor whether `end` is inclusive (a switch).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_DAYS = 30


class InvalidPeriod(ValueError):
    """The parameters name no span of days; the text says why."""


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` up to, but not including, `end`; both UTC without saying so, as the table keeps instants. `days`
    is what the answer echoes.
    """

    start: datetime
    end: datetime
    days: int


def period(query: Mapping[str, str], now: float, *, retention_days: int, end_inclusive: bool) -> Period:
    """Return the span that `query` asks for at `now` (seconds since the epoch).

    With `start` and `end` (ISO dates): those days; `days` is ignored. Else the running day and the `days` before it,
    30 when absent, silently clamped to `retention_days`. Raises InvalidPeriod.
    """
    start, end = query.get("start"), query.get("end")
    if start is not None or end is not None:
        if start is None or end is None:
            raise InvalidPeriod("start and end are used together")
        return _between(_date("start", start), _date("end", end), end_inclusive=end_inclusive)
    days = min(_days(query.get("days")), retention_days)
    today = datetime.fromtimestamp(now, UTC).date()
    return Period(_midnight(today, -days), _midnight(today, 1), days)


def _between(start: date, end: date, *, end_inclusive: bool) -> Period:
    if end < start:
        raise InvalidPeriod("end is before start")
    after = _midnight(end, 1 if end_inclusive else 0)
    return Period(_midnight(start, 0), after, (after - _midnight(start, 0)).days)


def _midnight(day: date, days_later: int) -> datetime:
    try:
        return datetime.combine(day, time()) + timedelta(days=days_later)
    except OverflowError:
        return datetime.min if days_later < 0 else datetime.max  # noqa: DTZ901 - naive like the table's instants


def _days(text: str | None) -> int:
    if text is None:
        return DEFAULT_DAYS
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise InvalidPeriod("days must be a positive integer")
    return int(text)


def _date(name: str, text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise InvalidPeriod(f"{name} must be an ISO date") from error
