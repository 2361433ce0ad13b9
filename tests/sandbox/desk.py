"""The reports without HTTP: events go to the writer, questions to the reports, in exact decimals."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson

from runtime.clock import ManualClock
from sandbox.database import Database
from sandbox.tolinku.arrivals import Arrivals
from sandbox.tolinku.measure import measure
from sandbox.tolinku.queries.period import period
from sandbox.tolinku.queries.question import Question
from sandbox.tolinku.queries.reports import REPORTS
from sandbox.tolinku.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Desk:
    """Takes events and questions; its clock is moved by hand."""

    def __init__(self, runner: asyncio.Runner, arrivals: Arrivals, writer: Writer, clock: ManualClock) -> None:
        self._runner = runner
        self._writer = writer
        self.arrivals = arrivals
        self.clock = clock

    def store(self, appspace: str, events: Sequence[dict[str, Any]], base: str, agent: str | None = None) -> None:
        measured = [measure(event, orjson.dumps(event).decode(), base) for event in events]
        self._runner.run(self._writer.store(appspace, measured, across_types=False, user_agent=agent))

    def advance(self, seconds: float) -> None:
        self._runner.run(self.clock.advance(seconds))

    def ask(self, report: str, appspace: str, base: str, zone: str = "UTC", **asked: str) -> dict[str, Any]:
        span = period(asked, self.clock.now(), retention_days=730, end_inclusive=True, zone=ZoneInfo(zone))
        with closing(self.arrivals.connect()) as connection:
            return dict(REPORTS[report](Question(appspace, span, base, asked, connection)))


@contextmanager
def opened() -> Iterator[Desk]:
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        database = Database(Path(folder))
        arrivals = Arrivals(database)
        writer = Writer(arrivals, clock)
        runner.run(writer.start())
        try:
            yield Desk(runner, arrivals, writer, clock)
        finally:
            runner.run(writer.close())
            database.close()
