"""`data/reports`: asks as reports of one request, and its answer as rows."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from scheduler.errors import PullError
from scheduler.plan import Window
from scheduler.sources.in_thread import stoppable
from scheduler.sources.interface import Found
from scheduler.sources.profitmetrics.endpoints import OUTER_FLAG
from scheduler.sources.profitmetrics.refusal import unsuccessful
from scheduler.sources.profitmetrics.series import Series, holds, local, unmistakable
from scheduler.sources.profitmetrics.stream import Malformed, values
from scheduler.sources.profitmetrics.value_objects import Cell

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from scheduler.buckets import WeekStart
    from scheduler.reply import Reply
    from scheduler.sources.interface import Ask, Sink

_REPORTS: Final = "data.reports"
_REPORT: Final = f"{_REPORTS}.item"
_ID: Final = f"{_REPORT}.id"
_BUCKETS: Final = f"{_REPORT}.metrics"
_BUCKET: Final = f"{_BUCKETS}.item"
_OPENED: Final = frozenset((_REPORTS, _REPORT, _BUCKETS))
_SAID: Final = ("success", "errorCode", "errorDetails")


def body(asks: Sequence[Ask]) -> dict[str, Any]:
    """Return the request for some asks, whose outer flag is the same."""
    request: dict[str, Any] = {"reports": [_report(ask) for ask in asks]}
    if OUTER_FLAG in asks[0].query:
        request[OUTER_FLAG] = asks[0].query[OUTER_FLAG]
    return request


def _report(ask: Ask) -> dict[str, Any]:
    windows = [window for window in (ask.window, ask.compare) if window is not None]
    if ask.plan.shape.resolution != "TOTAL":
        windows = unmistakable(*windows)
    elif windows[0].end.astimezone(UTC) >= ask.now.replace(microsecond=0):
        # Its one bucket would grow with its period, but for what lies ahead, where nothing is yet.
        windows[0] = Window(windows[0].start, unmistakable(Window(windows[0].end, windows[0].end))[0].end)
    periods = [{"fromIncl": local(window.start), "toExcl": local(window.end)} for window in windows]
    own = {name: value for name, value in ask.query.items() if name != OUTER_FLAG}
    dates = dict(zip(("period", "comparePeriod"), periods, strict=False))
    return {**own, "id": ask.id, "timezone": ask.plan.shape.zone.key, **dates}


class ReportRows:
    """Turns the buckets of one report into rows.

    `end`: where the last bucket ends that was asked for. `is_answered`: whether the answer has the report. `error`: what is
    wrong with it, after which no more of it is taken, while other reports go on.
    """

    def __init__(self, ask: Ask, sink: Sink, week_starts: WeekStart) -> None:
        if ask.window is None:
            raise ValueError("a report has dates")
        shape = ask.plan.shape
        self.end: datetime | None = None
        self.error: PullError | None = None
        self.is_answered = False
        self._ask = ask
        self._sink = sink
        self._window = ask.window
        self._zone = shape.zone
        self._total = shape.resolution == "TOTAL"
        self._series = Series(shape.zone, shape.resolution, week_starts)
        self._compared = Series(shape.zone, shape.resolution, week_starts)

    def take(self, element: Any) -> None:
        """Take the next bucket."""
        if self.error is None:
            try:
                self._take(element)
            except PullError as error:
                self.error = error

    def rest(self, *, cuts: bool) -> Window | None:
        """Return what the answer seems to lack at its end, see `Series.rest`."""
        return self._series.rest(self._window, self.end, self._ask.now, cuts=cuts)

    def _take(self, element: Any) -> None:
        if not isinstance(element, dict) or not isinstance(data := element.get("data"), dict):
            raise Malformed("a bucket without data")
        if self._total:
            if self.end is not None:
                raise Malformed("several buckets of TOTAL")
            self.end = self._window.end
            self._put(None, self._ask.compare, data)
            return
        bucket = self._series.bucket(element.get("timestamp"))
        earlier = element.get("compareTimestamp")
        compare = None if self._ask.compare is None or earlier is None else self._compared.bucket(earlier)
        if holds(self._window, bucket):
            self.end = bucket.end
            self._put(bucket, compare, data)

    def _put(self, bucket: Window | None, compare: Window | None, data: Mapping[str, Any]) -> None:
        cell = Cell(self._zone, bucket, compares=self._ask.compare is not None)
        for name, wrapped in data.items():
            if not isinstance(wrapped, dict) or "value" not in wrapped:
                raise Malformed(f"the value of {name[:80]}")
            cell.add(name, wrapped["value"])
        for channel, leaves in cell.rows():
            named = self._ask.dimensions if channel is None else {**self._ask.dimensions, "channel": channel}
            self._sink.put(Found(bucket, named, leaves.metrics, leaves.attributes, leaves.unavailable, compare=compare))


def read(reply: Reply, reports: Mapping[str, ReportRows], stop: threading.Event) -> None:
    """Hand the buckets of an answer to the `reports` by their ids, in whatever order they come. Blocks on the file.

    Raises PullError for an answer that is none as a whole: broken JSON, no success, no list, a report that nobody asked for.
    A report that is missing stays unanswered.
    """
    try:
        with reply.open() as file:
            _read(stoppable(values(file, frozenset((*_SAID, _ID, _BUCKET)), _OPENED), stop), reports, None)
    except _IdAfterBuckets:
        # The order of keys in an object means nothing: once through for the ids alone, then again.
        with reply.open() as file:
            ids = [value for _, value in stoppable(values(file, frozenset((_ID,))), stop)]
        with reply.open() as file:
            _read(stoppable(values(file, frozenset((*_SAID, _BUCKET)), _OPENED), stop), reports, iter(ids))


class _IdAfterBuckets(Exception):
    """A report's buckets came before its id."""


def _read(found: Iterator[tuple[str, Any]], reports: Mapping[str, ReportRows], ids: Iterator[str] | None) -> None:
    said: dict[str, Any] = {}
    left = dict(reports)
    current: ReportRows | None = None
    for path, value in found:
        if path in _SAID:
            said[path] = value
        elif path == _REPORTS:
            said[path] = value == "start_array"
        elif path == _REPORT:
            current = None if ids is None else _taken(next(ids, None), left)
        elif path == _ID:
            current = _taken(value, left)
        elif current is None:
            raise _IdAfterBuckets
        elif path == _BUCKETS:
            current.is_answered = value == "start_array"
        else:
            current.take(value)
    if said.get("success") is not True:
        raise unsuccessful(said.get("errorCode"), said.get("errorDetails"))
    if not said.get(_REPORTS):
        raise Malformed("no list of reports")


def _taken(name: Any, left: dict[str, ReportRows]) -> ReportRows:
    rows = left.pop(name, None) if isinstance(name, str) else None
    if rows is None:
        raise Malformed("a report that nobody asked for, or twice")
    return rows
