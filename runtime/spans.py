"""Spans of time as the configuration writes them: "15m", "3d", "1mo"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

from runtime.references import fault

_INTERVAL: Final = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_LOOKBACK: Final = re.compile(r"([0-9]{1,9})(d|w)")
_COMPARE: Final = re.compile(r"([0-9]{1,9})(d|w|mo|y)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DAYS: Final = {"d": 1, "w": 7}
_MONTHS: Final = {"mo": 1, "y": 12}
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_LONGEST_INTERVAL: Final = timedelta(days=366)
_MOST_DAYS: Final = 3660
_MOST_MONTHS: Final = 120


@dataclass(frozen=True, slots=True)
class Lookback:
    """How far back each pull reaches: `days` whole days before today (1 to 3,660), or, with `days` 0, what `kind` says.

    "all" is the vendor's beginning, "query" means that the dates stand in the query itself.
    """

    kind: Literal["days", "all", "query"]
    days: int = 0

    def __str__(self) -> str:
        """Return it as the configuration writes it, weeks as days."""
        return f"{self.days}d" if self.kind == "days" else self.kind


@dataclass(frozen=True, slots=True)
class Compare:
    """How much earlier the buckets lie that others are compared with: by calendar months or by days, never both."""

    months: int = 0
    days: int = 0

    def __str__(self) -> str:
        """Return it as the configuration writes it, weeks as days and years as months."""
        return f"{self.months}mo" if self.months else f"{self.days}d"


def interval(value: Any) -> timedelta:
    """Return the time between two pulls, 1 s to 366 days, that "15m" stands for. Raises `references.fault`."""
    if isinstance(value, timedelta):
        return value
    number, unit = _parsed(_INTERVAL, value, "is no interval", 'write it like "15m" (s, m, h, d)')
    seconds = number * _SECONDS[unit]
    if seconds < 1:
        raise fault("is too short", 'give at least "1s"')
    if seconds > _LONGEST_INTERVAL.total_seconds():
        raise fault("is too long", f'give at most "{_LONGEST_INTERVAL.days}d"')
    return timedelta(seconds=seconds)


def interval_text(every: timedelta) -> str:
    """Return a time between two pulls as the configuration writes it, in the largest unit that it is whole in."""
    seconds = round(every.total_seconds())
    return next(f"{seconds // size}{unit}" for unit, size in reversed(_SECONDS.items()) if seconds % size == 0)


def lookback(value: Any) -> Lookback:
    """Return what "3d", "2w", "all" or "query" stands for. Raises `references.fault`."""
    if isinstance(value, Lookback):
        return value
    if value == "all":
        return Lookback("all")
    if value == "query":
        return Lookback("query")
    number, unit = _parsed(_LOOKBACK, value, "is no lookback", 'write it like "3d" or "2w", or "all" or "query"')
    days = number * _DAYS[unit]
    if days < 1:
        raise fault("is too short: no day would be asked for once it is over", 'give at least "1d"')
    if days > _MOST_DAYS:
        raise fault("is too long", f'give at most "{_MOST_DAYS}d", or "all"')
    return Lookback("days", days)


def compare(value: Any) -> Compare:
    """Return what "7d", "4w", "1mo" or "1y" stands for. Raises `references.fault`."""
    if isinstance(value, Compare):
        return value
    cure = 'write it like "7d", "4w", "1mo" or "1y"'
    number, unit = _parsed(_COMPARE, value, "is no span to compare by", cure)
    if number < 1:
        raise fault("compares each bucket with itself", cure)
    months, days = number * _MONTHS.get(unit, 0), number * _DAYS.get(unit, 0)
    if months > _MOST_MONTHS or days > _MOST_DAYS:
        raise fault("is too long", 'give at most "10y"')
    return Compare(months, days)


def day(value: Any) -> date:
    """Return the day that a TOML date or "2026-01-31" stands for. Raises `references.fault`."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise fault("is a day that there is not", "correct it") from error
    raise fault("is no day", 'write it like "2026-01-31"')


def _parsed(pattern: re.Pattern[str], value: Any, message: str, cure: str) -> tuple[int, str]:
    if not isinstance(value, str):
        raise fault("is no text", cure)
    match = pattern.fullmatch(value)
    if match is None:
        raise fault(message, cure)
    return int(match[1]), match[2]
