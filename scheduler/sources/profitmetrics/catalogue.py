"""The metrics that the vendor has: its live catalogue, which decides. The built-in one helps where labels are unknown."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from scheduler.errors import ExportRefused
from scheduler.sources.nearest import listed, several_nearest
from scheduler.sources.profitmetrics.stream import Malformed, values
from schemas.profitmetrics import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_BARE, _WRAPPED = "item", "data.item"
_NEAREST: Final = 3


class Entry(NamedTuple):
    """A metric: its enum name, its label, and whatever else the vendor tells of it."""

    name: str
    label: str
    more: Mapping[str, Any]


class Catalogue:
    """Names and labels, as one answer of `export/metrics` gave them. Never changes."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._names = {entry.name for entry in entries}
        self._by_label: dict[str, list[str]] = {}
        for entry in entries:
            self._by_label.setdefault(entry.label, []).append(entry.name)

    def refusal(self, metrics: Sequence[str]) -> ExportRefused | None:
        """Return why these cannot be asked for: names that the vendor lacks, each with the nearest that it has."""
        lacking = [name for name in metrics if name not in self._names]
        if not lacking:
            return None
        return ExportRefused("the vendor has no metric " + "; nor ".join(map(self._with_nearest, lacking)))

    def name(self, label: str, asked: Sequence[str]) -> str | None:
        """Return the enum name that a label stands for, one of those `asked` where several share it; None: no catalogue has it."""
        names = self._by_label.get(label, [])
        if len(names) > 1:
            names = [name for name in names if name in asked]
        if len(names) == 1:
            return names[0]
        return None if names else NAMES.get(label)

    def _with_nearest(self, name: str) -> str:
        near = several_nearest(name, sorted(self._names), _NEAREST)
        return f"{name} (nearest: {listed(near)})" if near else name


def entries(file: IO[bytes]) -> Iterator[Entry]:
    """Yield the metrics of an answer of `export/metrics`: a bare list, or one in `{success, data}`. Blocks on the file.

    Raises Malformed at the end, too: for an answer without any metric, or without success.
    """
    count, success = 0, True
    for path, value in values(file, frozenset((_BARE, _WRAPPED, "success"))):
        if path == "success":
            success = value is True
            continue
        if not isinstance(value, dict):
            raise Malformed("a metric that is no object")
        more = dict(value)
        name, label = more.pop("value", None), more.pop("label", None)
        if not isinstance(name, str) or not isinstance(label, str) or not name:
            raise Malformed("a metric without value or label")
        count += 1
        yield Entry(name, label, more)
    if not success:
        raise Malformed("the catalogue without success")
    if not count:
        raise Malformed("a catalogue without metrics")
