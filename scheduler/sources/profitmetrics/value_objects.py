"""The shapes that a value of `data/reports` may have (seed 000, "Value object shapes"), as what goes into rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from scheduler.local_times import LocalTimes
from scheduler.sources.profitmetrics.stream import Malformed
from schemas.profitmetrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from zoneinfo import ZoneInfo

    from scheduler.plan import Window
    from schemas.exports import Number

NOT_AVAILABLE: Final = "N/A"
_COMPARED: Final = ("compareValue", "valueDiff", "percentageDiff")
_NUMERIC: Final = frozenset(("value", *_COMPARED))


@dataclass(slots=True)
class Leaves:
    """What goes into one row."""

    metrics: dict[str, Number] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    unavailable: list[str] = field(default_factory=list)

    def add(self, name: str, value: Any) -> None:
        """Take a number, null or "N/A". Raises Malformed for anything else."""
        if value == NOT_AVAILABLE:
            self.unavailable.append(name)
        elif value is None or type(value) in (int, float):  # true is an int to Python
            self.metrics[name] = value
        else:
            raise Malformed(f"the value of {name[:80]}")


class Cell:
    """The values of one bucket: `own` for the row without a channel, `channels` for a row of each.

    `compares`: whether a comparison was asked for: without, its nulls say nothing and are left out.
    """

    def __init__(self, zone: ZoneInfo, bucket: Window | None, *, compares: bool) -> None:
        self.own = Leaves()
        self.channels: dict[str, Leaves] = {}
        self._zone = zone
        self._bucket = bucket
        self._compares = compares

    def add(self, name: str, value: Any) -> None:
        """Take what stands at `data[name].value`. Raises Malformed for a shape that the vendor does not document."""
        if isinstance(value, dict) and value.keys() <= _NUMERIC and "value" in value:
            self._number(self.own, name, value)
        elif isinstance(value, dict):
            for channel, numbers in value.items():
                leaves = self.channels.setdefault(channel, Leaves())
                if isinstance(numbers, dict):
                    self._number(leaves, name, numbers)
                else:
                    leaves.add(name, numbers)
        elif _kind(name) == "timestamp" and value != NOT_AVAILABLE:
            self.own.attributes[name] = None if value is None else self._instant(name, value)
        else:
            self.own.add(name, value)

    def rows(self) -> Iterator[tuple[str | None, Leaves]]:
        """Yield what there is: the row without a channel (None), then one for each channel."""
        if self.own.metrics or self.own.attributes or self.own.unavailable:
            yield None, self.own
        yield from self.channels.items()

    def _number(self, leaves: Leaves, name: str, value: Mapping[str, Any]) -> None:
        if "value" not in value:
            raise Malformed(f"the value of {name[:80]}")
        leaves.add(name, value["value"])
        for part in _COMPARED:
            if part in value and (self._compares or value[part] is not None):
                leaves.add(f"{name}.{part}", value[part])

    def _instant(self, name: str, text: Any) -> str:
        """Return a local time with its offset; of two that it may be, the one that lies in the bucket."""
        try:
            moment = LocalTimes(self._zone).read(text)
        except (TypeError, ValueError) as error:
            raise Malformed(f"the time of {name[:80]}") from error
        later = moment.replace(fold=1)
        if self._bucket is not None and moment.astimezone(UTC) < self._bucket.start.astimezone(UTC) <= later.astimezone(
            UTC
        ):
            moment = later
        return _written(moment)


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def _kind(name: str) -> str:
    return METRICS[name].kind if name in METRICS else "number"
