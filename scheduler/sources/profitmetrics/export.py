"""`export/v2`: a window as a number of days back from today, and the answer as rows, under enum names again."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from scheduler.sources.in_thread import stoppable
from scheduler.sources.interface import Found
from scheduler.sources.profitmetrics.refusal import unsuccessful
from scheduler.sources.profitmetrics.series import Series, day, holds
from scheduler.sources.profitmetrics.stream import Malformed, values
from scheduler.sources.profitmetrics.value_objects import Leaves

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Mapping, Sequence
    from datetime import datetime

    from scheduler.buckets import WeekStart
    from scheduler.plan import Window
    from scheduler.reply import Reply
    from scheduler.sources.interface import Ask, Sink
    from scheduler.sources.profitmetrics.catalogue import Catalogue
    from schemas.exports import Flag

_BUCKETS: Final = "data.data"
_BUCKET: Final = f"{_BUCKETS}.item"
_SAID: Final = ("success", "errorCode", "errorDetails")
_PATHS: Final = frozenset((*_SAID, _BUCKET))


def body(ask: Ask, *, whole_life: bool) -> dict[str, Any]:
    """Return the request for an ask, or for the sites' whole life."""
    request = {**ask.query, "timezone": ask.plan.shape.zone.key}
    if not whole_life:
        request["lookbackWindow"] = _days_back(ask)
    return request


def _days_back(ask: Ask) -> int:
    """Return how many days before the vendor's today the window begins.

    One more than that, but for TOTAL, whose bucket would grow: midnight may pass before the request arrives, and 0 would
    mean the whole lifetime. What lies before the window is dropped.
    """
    if ask.window is None:
        raise ValueError("an export has dates")
    zone, spare = ask.plan.shape.zone, timedelta(0 if ask.plan.shape.resolution == "TOTAL" else 1)
    back = ask.now.astimezone(zone).date() - ask.window.start.astimezone(zone).date() + spare
    return max(back.days, 1)


class ExportRows:
    """Turns the buckets of an answer into rows. `end`: where the last of them ends that was asked for.

    `unknown_labels`: those that no catalogue has; such a metric is kept under its label, the row flagged.
    """

    def __init__(self, ask: Ask, sink: Sink, week_starts: WeekStart, catalogue: Catalogue) -> None:
        if ask.window is None:
            raise ValueError("an export has dates")
        shape = ask.plan.shape
        self.end: datetime | None = None
        self.unknown_labels: set[str] = set()
        self._ask = ask
        self._sink = sink
        self._window = ask.window
        self._total = shape.resolution == "TOTAL"
        self._series = Series(shape.zone, shape.resolution, week_starts)
        self._is_first = True
        self._asked = ask.query.get("metrics", ())
        self._catalogue = catalogue

    def rest(self, *, cuts: bool) -> Window | None:
        """Return what the answer seems to lack at its end, see `Series.rest`."""
        return self._series.rest(self._window, self.end, self._ask.now, cuts=cuts)

    def take(self, element: Any) -> None:
        """Take the next bucket. Raises PullError."""
        if not isinstance(element, dict) or not isinstance(metrics := element.get("metrics"), dict):
            raise Malformed("a bucket without metrics")
        text = element.get("timestamp")
        if self._total:
            self._check_total(text)
            self.end = self._window.end
            self._put(None, metrics)
            return
        # An answer begins some days ago, or with the first order, which need not be where a bucket does.
        bucket = self._series.bucket(text, may_be_cut=self._is_first)
        self._is_first = False
        if holds(self._window, bucket):
            self.end = bucket.end
            self._put(bucket, metrics)

    def _check_total(self, text: Any) -> None:
        if self.end is not None:
            raise Malformed("several buckets of TOTAL")
        begins = day(text)
        if self._ask.plan.export.lookback.kind != "all" and begins != self._window.start.date():
            # Midnight has passed since it was asked for: another time it is right.
            raise Malformed(f"TOTAL since {begins} instead of {self._window.start.date()}")

    def _put(self, bucket: Window | None, metrics: Mapping[str, Any]) -> None:
        leaves, unknown = Leaves(), set()
        for label, value in metrics.items():
            name = self._catalogue.name(label, self._asked)
            if name is None or name in leaves.metrics or name in leaves.unavailable:
                name = label
                unknown.add(label)
            leaves.add(name, value)
        self.unknown_labels |= unknown
        flags: Sequence[Flag] = ("unknown_label",) if unknown else ()
        self._sink.put(Found(bucket, self._ask.dimensions, leaves.metrics, unavailable=leaves.unavailable, flags=flags))


def read(reply: Reply, rows: ExportRows, stop: threading.Event) -> None:
    """Hand the buckets of an answer to `rows`. Blocks on the file. Raises PullError for an answer that is none."""
    with closing(buckets(reply, stop)) as found:
        for bucket in found:
            rows.take(bucket)


def buckets(reply: Reply, stop: threading.Event) -> Generator[Any]:
    """Yield the buckets of an answer as they stand there. Raises PullError, at the end too: only then is it known to be whole."""
    said: dict[str, Any] = {}
    with reply.open() as file:
        for path, value in stoppable(values(file, _PATHS, frozenset((_BUCKETS,))), stop):
            if path == _BUCKET:
                yield value
            else:
                said[path] = value
    if said.get("success") is not True:
        raise unsuccessful(said.get("errorCode"), said.get("errorDetails"))
    if said.get(_BUCKETS) != "start_array":
        raise Malformed("no list of buckets")
