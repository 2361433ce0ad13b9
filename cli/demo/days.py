"""The days that the demo has sent from one data directory, and what they came to.

Written down before a day is sent and again after it: a day that was interrupted is known for what it is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from examples import shop
from examples.figures import Figures, tally
from runtime.errors import OperatorError

if TYPE_CHECKING:
    from pathlib import Path

BOOK = "days.json"


@dataclass(frozen=True, slots=True)
class Day:
    """A day that is to be sent: its number from 1, the file of its events, and what they must come to."""

    number: int
    file: Path
    figures: Figures


class Days:
    """The book of days in `folder`. Life: `open` → `begin` → `complete`."""

    def __init__(self, folder: Path, days: list[Figures | None]) -> None:
        self._folder = folder
        self._days = days

    @classmethod
    def open(cls, folder: Path) -> Days:
        """Return the book; an empty one when nothing was sent yet. Raises OperatorError when it cannot be read."""
        folder.mkdir(exist_ok=True)
        path = folder / BOOK
        if not path.exists():
            return cls(folder, [])
        try:
            return cls(folder, [_figures(entry) for entry in orjson.loads(path.read_bytes())])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise OperatorError(f"{path} is damaged ({error}); begin anew with another broker.path") from None

    def begin(self) -> Day:
        """Make the next day and write its events to a file; the file of the day before is removed."""
        self._days.append(None)
        self._save()
        number = len(self._days)
        for old in self._folder.glob("day-*.ndjson"):
            old.unlink()
        lines = shop.lines(number)
        file = self._folder / f"day-{number:04}.ndjson"
        file.write_bytes(b"".join(line.text + b"\n" for line in lines))
        return Day(number, file, tally(lines))

    def complete(self, day: Day) -> None:
        """Write down that the gateway answered every event of `day`."""
        self._days[day.number - 1] = day.figures
        self._save()

    def sent(self) -> Figures:
        """Return what all complete days come to together."""
        total = Figures()
        for figures in self._days:
            if figures is not None:
                total.add(figures)
        return total

    def marks(self) -> frozenset[str]:
        """Return what the transaction ids of complete days begin with."""
        return frozenset(shop.day_mark(number) for number, figures in enumerate(self._days, 1) if figures is not None)

    def _save(self) -> None:
        data = [None if figures is None else figures.as_json() for figures in self._days]
        new = self._folder / f"{BOOK}.new"
        with new.open("wb") as file:
            file.write(orjson.dumps(data, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._folder / BOOK)


def _figures(entry: dict[str, Any] | None) -> Figures | None:
    return None if entry is None else Figures.from_json(entry)
