"""One ask: what it sends, and what is made of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scheduler.sources.interface import Answer
from scheduler.sources.tolinku.answers import elements, envelope, is_number
from scheduler.sources.tolinku.datasets import DATASETS, DEFAULT_LIMIT
from scheduler.sources.tolinku.days import answered, as_query, asked_by_query, days_of
from scheduler.sources.tolinku.parameters import sent
from scheduler.sources.tolinku.rows import Rows

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from datetime import date

    from scheduler.reply import Reply
    from scheduler.sources.interface import Ask, Found, Sink
    from scheduler.sources.tolinku.answers import Envelope
    from schemas.exports import Flag


class Reading:
    """Knows one ask. `end_inclusive`: whether the vendor takes `end` for the last day."""

    def __init__(self, ask: Ask, *, end_inclusive: bool) -> None:
        self._ask = ask
        self._zone = ask.plan.shape.zone
        self._end_inclusive = end_inclusive
        self._days = None if ask.window is None else days_of(ask.window, ask.now, self._zone)
        self.dataset = DATASETS[ask.plan.export.dataset]

    @property
    def query(self) -> dict[str, str]:
        """What is sent: the ask's own parameters, and its dates unless they are among those."""
        own = {name: sent(value) for name, value in self._ask.query.items()}
        return own if self._days is None else own | as_query(self._days, end_inclusive=self._end_inclusive)

    def read(self, reply: Reply, sink: Sink, stop: threading.Event) -> Answer:
        """Put the rows of the reply into the sink, and return what is to be said of them all. Waits for the disk.

        Raises Misshapen when the reply is not what the endpoint answers, and Stopped when `stop` is set.
        """
        with reply.open() as file:
            first_pass = envelope(file, self.dataset.elements, stop)
        if not self.dataset.time_axis and _is_of_nothing(told := self._told(first_pass, None)):
            return told  # its zeros are of no day at all
        bucket = None if self._ask.plan.shape.resolution == "TOTAL" else self._ask.window
        rows = Rows(self.dataset, first_pass, self._zone, bucket, self._ask.dimensions)
        earliest: date | None = None
        for found in rows.of_envelope():
            sink.put(found)
        if self.dataset.elements is not None:
            with reply.open() as file:
                for found in rows.of_elements(elements(file, self.dataset.elements, stop)):
                    if self._is_asked_for(found):
                        sink.put(found)
                        earliest = self._earlier(earliest, found)
        return self._told(first_pass, earliest)

    def _told(self, first_pass: Envelope, earliest: date | None) -> Answer:
        """Return what the answer lacks, as far as the echoed days and the number of its elements show it."""
        flags: list[Flag] = []
        covered = None
        echo, window = echoed(first_pass.fields), self._ask.window
        if echo is not None and window is not None and self._days is not None:
            covered = answered(window, self._days, echo, earliest, self._zone)
        if covered is not None or (window is None and self._is_fewer(echo)):
            flags.append("clamped")
        if self._is_cut(first_pass.count):
            flags.append("truncated")
        return Answer(whole=not flags, covered=covered, flags=flags)

    def _is_fewer(self, echo: int | None) -> bool:
        asked = asked_by_query(self._ask.query, end_inclusive=self._end_inclusive)
        return echo is not None and asked is not None and echo < asked

    def _is_cut(self, count: int) -> bool:
        # As many as there may be: there may be more.
        return "limit" in self.dataset.parameters and count >= self._ask.query.get("limit", DEFAULT_LIMIT)

    def _is_asked_for(self, found: Found) -> bool:
        # An `end` that is inclusive after all brings a day too many.
        bucket, window = found.bucket, self._ask.window
        if bucket is None or window is None:
            return True
        return window.start.timestamp() <= bucket.start.timestamp() < window.end.timestamp()

    def _earlier(self, earliest: date | None, found: Found) -> date | None:
        if not self.dataset.time_axis or found.bucket is None:
            return None
        day = found.bucket.start.date()
        return day if earliest is None else min(earliest, day)


def _is_of_nothing(answer: Answer) -> bool:
    covered = answer.covered
    return covered is not None and covered.start.timestamp() >= covered.end.timestamp()


def echoed(fields: Mapping[str, Any]) -> int | None:
    """Return how many days the vendor says that it took; None when it does not."""
    days = fields.get("days")
    return int(days) if is_number(days) else None
