"""What the endpoints take beside the dates, checked before anything is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from scheduler.sources.nearest import listed, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence


class Fault(NamedTuple):
    """What is wrong with one value, and how to put it right."""

    message: str
    cure: str


class Parameter(Protocol):
    """One query parameter. `splits`: whether it makes sense to ask for several of its values one by one."""

    @property
    def splits(self) -> bool:
        """Whether a list of its values may be split."""

    def fault(self, value: Any) -> Fault | None:
        """Return what is wrong with a single value; None: nothing."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `least` to `most`; None: no limit is known."""

    least: int
    most: int | None = None
    splits: bool = False

    def fault(self, value: Any) -> Fault | None:
        """Return what is wrong with `value`."""
        if type(value) is not int:  # true is an int to Python
            return Fault("is no whole number", "give one, without quotes")
        if value < self.least:
            return Fault("is too small", f"give at least {self.least}")
        if self.most is not None and value > self.most:
            return Fault("is too large", f"give at most {self.most}")
        return None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    options: Sequence[str | int]
    splits: bool = True

    def fault(self, value: Any) -> Fault | None:
        """Return what is wrong with `value`."""
        if any(type(value) is type(option) and value == option for option in self.options):
            return None
        near = nearest(str(value), [option for option in self.options if isinstance(option, str)])
        if near is not None:
            return Fault(f"is {value!r}, which is no choice", f'did you mean "{near}"?')
        return Fault(f"is {value!r}, which is no choice", f"give one of {listed(self.options)}")


@dataclass(frozen=True, slots=True)
class Day:
    """A date, as TOML's own or as text."""

    splits: bool = False

    def fault(self, value: Any) -> Fault | None:
        """Return what is wrong with `value`."""
        try:
            as_day(value)
        except ValueError:
            return Fault("is no date", "write it like 2026-01-31")
        return None


def as_day(value: Any) -> date:
    """Return the day that `value` (a date, or text like `2026-01-31`) names. Raises ValueError."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no date")  # noqa: TRY004  # wrong content of a configuration, not of a call
    return date.fromisoformat(value)


def sent(value: Any) -> str:
    """Return a parameter's value as the query string has it; a split hands over lists of one value."""
    if isinstance(value, list):
        (value,) = value
    return value.isoformat() if isinstance(value, date) else str(value)
