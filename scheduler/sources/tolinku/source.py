"""One Tolinku account at work: one GET for each ask."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from scheduler.sources.in_thread import in_thread
from scheduler.sources.interface import Answer, Source
from scheduler.sources.tolinku.answers import Misshapen, envelope
from scheduler.sources.tolinku.datasets import DATASETS
from scheduler.sources.tolinku.reading import Reading, echoed
from scheduler.sources.tolinku.refusal import judge, rest

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import date

    from scheduler.caller import Caller
    from scheduler.errors import PullError
    from scheduler.reply import Reply
    from scheduler.sources.interface import Ask, Sink
    from scheduler.sources.tolinku.answers import Envelope

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
        return [await self._pull(ask, sink) for ask, sink in zip(asks, sinks, strict=True)]

    async def beginning(self, ask: Ask) -> date:
        """Return the first day that the vendor's plan keeps, as told by what it makes of an overview of ten years."""
        async with self._asked(DATASETS["overview"].path, {"days": str(FARTHEST_DAYS)}) as reply:
            answer = await in_thread(lambda stop: _overview(reply, stop))
            echo = echoed(answer.fields)
            if echo is None or echo < 1:
                raise Misshapen("it does not echo days")
        return ask.now.astimezone(ask.plan.shape.zone).date() - timedelta(days=echo)

    async def _pull(self, ask: Ask, sink: Sink) -> Answer:
        reading = Reading(ask, end_inclusive=self._end_inclusive)
        async with self._asked(reading.dataset.path, reading.query) as reply:
            return await in_thread(lambda stop: reading.read(reply, sink, stop))

    @asynccontextmanager
    async def _asked(self, path: str, query: Mapping[str, str]) -> AsyncIterator[Reply]:
        async with self._caller.ask("GET", path, judge=judge, query=query) as reply:
            usage = reply.headers.get("X-Usage-Warning")
            if usage != self._usage:
                self._usage = usage
                self._caller.warn("vendor warns of usage", usage=usage or "no longer")
            seconds = rest(reply)
            if seconds is not None:
                self._caller.rest(seconds)
            yield reply


def _overview(reply: Reply, stop: threading.Event) -> Envelope:
    with reply.open() as file:
        return envelope(file, None, stop)
