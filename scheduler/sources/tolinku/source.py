"""One Tolinku account at work: one GET for each ask."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from scheduler.sources.interface import Answer, Source
from scheduler.sources.tolinku.answers import Misshapen, elements, envelope
from scheduler.sources.tolinku.datasets import DATASETS, DEFAULT_LIMIT
from scheduler.sources.tolinku.days import answered, as_query, asked_by_query, days_of
from scheduler.sources.tolinku.in_thread import in_thread
from scheduler.sources.tolinku.parameters import sent
from scheduler.sources.tolinku.refusal import judge, rest
from scheduler.sources.tolinku.rows import Rows

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import date

    from scheduler.caller import Caller
    from scheduler.errors import PullError
    from scheduler.reply import Reply
    from scheduler.sources.interface import Ask, Found, Sink
    from scheduler.sources.tolinku.answers import Envelope
    from scheduler.sources.tolinku.datasets import Dataset
    from schemas.exports import Flag

FARTHEST_DAYS: Final = 3650
"""How far back the beginning is looked for: more than any plan keeps, so that the echo is what this one keeps."""


class TolinkuSource(Source):
    """Asks of different exports never share a request. `end_inclusive`: whether the vendor takes `end` for the last day."""

    def __init__(self, caller: Caller, *, end_inclusive: bool) -> None:
        self._caller = caller
        self._end_inclusive = end_inclusive
        self._usage: str | None = None

    async def pull(self, asks: Sequence[Ask], sinks: Sequence[Sink]) -> Sequence[Answer | PullError]:
        """Answer the asks one after the other. They are one export's, split: the first that fails is raised for all."""
        return [await self._answer(ask, sink) for ask, sink in zip(asks, sinks, strict=True)]

    async def beginning(self, ask: Ask) -> date:
        """Return the first day that the vendor's plan keeps, as told by what it makes of an overview of ten years."""
        async with self._asked(DATASETS["overview"], {"days": str(FARTHEST_DAYS)}) as reply:
            fields = (await in_thread(lambda stop: _first_pass(reply, DATASETS["overview"], stop))).fields
        echo = _echo(fields)
        if echo is None or echo < 1:
            raise Misshapen("it does not echo days")
        return ask.now.astimezone(ask.plan.shape.zone).date() - timedelta(days=echo)

    async def _answer(self, ask: Ask, sink: Sink) -> Answer:
        dataset = DATASETS[ask.plan.export.dataset]
        query = {name: sent(value) for name, value in ask.query.items()}
        if ask.window is not None:
            days = days_of(ask.window, ask.now, ask.plan.shape.zone)
            query |= as_query(days, end_inclusive=self._end_inclusive)
        async with self._asked(dataset, query) as reply:
            return await in_thread(lambda stop: self._read(reply, ask, dataset, sink, stop))

    @asynccontextmanager
    async def _asked(self, dataset: Dataset, query: Mapping[str, str]) -> AsyncIterator[Reply]:
        async with self._caller.ask("GET", dataset.path, judge=judge, query=query) as reply:
            usage = reply.headers.get("X-Usage-Warning")
            if usage != self._usage:
                self._usage = usage
                self._caller.warn("vendor warns of usage", usage=usage or "no longer")
            seconds = rest(reply)
            if seconds is not None:
                self._caller.rest(seconds)
            yield reply

    def _read(self, reply: Reply, ask: Ask, dataset: Dataset, sink: Sink, stop: threading.Event) -> Answer:
        """Put the rows of an answer into the sink, and return what is to be said of them all. Waits for the disk."""
        first_pass = _first_pass(reply, dataset, stop)
        shape = ask.plan.shape
        bucket = None if shape.resolution == "TOTAL" else ask.window
        rows = Rows(dataset, first_pass, shape.zone, bucket, ask.dimensions)
        earliest: date | None = None
        for found in rows.of_envelope():
            sink.put(found)
        if dataset.elements is not None:
            with reply.open() as file:
                for found in rows.of_elements(elements(file, dataset.elements, stop)):
                    if _is_asked_for(found, ask):
                        sink.put(found)
                        earliest = _earlier(earliest, found, dataset)
        return self._told(ask, dataset, first_pass, earliest)

    def _told(self, ask: Ask, dataset: Dataset, first_pass: Envelope, earliest: date | None) -> Answer:
        flags: list[Flag] = []
        covered = None
        echo, shape = _echo(first_pass.fields), ask.plan.shape
        if echo is not None and ask.window is not None:
            days = days_of(ask.window, ask.now, shape.zone)
            covered = answered(ask.window, days, echo, earliest, shape.zone)
        asked = asked_by_query(ask.query, end_inclusive=self._end_inclusive) if ask.window is None else None
        if covered is not None or (echo is not None and asked is not None and echo < asked):
            flags.append("clamped")
        if _is_cut(dataset, ask.query, first_pass.count):
            flags.append("truncated")
        return Answer(whole=not flags, covered=covered, flags=flags)


def _first_pass(reply: Reply, dataset: Dataset, stop: threading.Event) -> Envelope:
    with reply.open() as file:
        return envelope(file, dataset.elements, stop)


def _echo(fields: Mapping[str, Any]) -> int | None:
    days = fields.get("days")
    return days if type(days) is int else None


def _is_cut(dataset: Dataset, query: Mapping[str, Any], count: int) -> bool:
    """Say whether there may be more than the answer holds: it has as many elements as it may have."""
    return "limit" in dataset.parameters and count >= query.get("limit", DEFAULT_LIMIT)


def _is_asked_for(found: Found, ask: Ask) -> bool:
    """Say whether a row lies in the window: an `end` that is inclusive after all brings a day too many."""
    bucket, window = found.bucket, ask.window
    if bucket is None or window is None:
        return True
    return window.start.timestamp() <= bucket.start.timestamp() < window.end.timestamp()


def _earlier(earliest: date | None, found: Found, dataset: Dataset) -> date | None:
    if not dataset.time_axis or found.bucket is None:
        return None
    day = found.bucket.start.date()
    return day if earliest is None else min(earliest, day)
