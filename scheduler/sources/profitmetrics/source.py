"""One ProfitMetrics account at work: asks go to the endpoint that their dataset names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.errors import PullError
from scheduler.sources.in_thread import in_thread, stoppable
from scheduler.sources.interface import Answer, Found, Source
from scheduler.sources.profitmetrics.catalogue import entries
from scheduler.sources.profitmetrics.endpoints import METRICS_PATH, OUTER_FLAG
from scheduler.sources.profitmetrics.exporting import Exporting
from scheduler.sources.profitmetrics.live import LiveCatalogue
from scheduler.sources.profitmetrics.refusal import is_whole_account, judge
from scheduler.sources.profitmetrics.reporting import Reporting

if TYPE_CHECKING:
    import threading
    from collections.abc import Hashable, Sequence
    from datetime import date

    from scheduler.buckets import WeekStart
    from scheduler.caller import Caller
    from scheduler.reply import Reply
    from scheduler.sources.interface import Ask, Sink


class ProfitMetricsSource(Source):
    """Reports whose outer flag is the same go together; everything else alone. One request at a time for each `pull`."""

    def __init__(self, caller: Caller, week_starts: WeekStart) -> None:
        self._caller = caller
        live = LiveCatalogue(caller)
        self._reporting = Reporting(caller, live, week_starts)
        self._exporting = Exporting(caller, live, week_starts)

    def together(self, ask: Ask) -> Hashable | None:
        """Return the outer flag of a report, which is the whole request's; None for other datasets."""
        if ask.plan.export.dataset != "reports":
            return None
        return "reports", ask.query.get(OUTER_FLAG, False)

    async def pull(self, asks: Sequence[Ask], sinks: Sequence[Sink]) -> Sequence[Answer | PullError]:
        """Answer the asks, all of one dataset. Raises PullError when all fail alike, the live catalogue being out of reach for one."""
        if asks[0].plan.export.dataset == "reports":
            return await self._reporting.pull(asks, sinks)
        outcomes: list[Answer | PullError] = []
        for ask, sink in zip(asks, sinks, strict=True):
            try:
                outcomes.append(await self._alone(ask, sink))
            except PullError as error:
                if is_whole_account(error):
                    outcomes += [error] * (len(asks) - len(outcomes))
                    break
                outcomes.append(error)
        return outcomes

    async def beginning(self, ask: Ask) -> date:
        """Return the day of the first order of all the export's sites, in its zone; today when there is none."""
        return await self._exporting.beginning(ask)

    async def _alone(self, ask: Ask, sink: Sink) -> Answer:
        if ask.plan.export.dataset == "export":
            return await self._exporting.pull(ask, sink)
        async with self._caller.ask("GET", METRICS_PATH, judge=judge) as reply:
            await in_thread(lambda stop: _put_catalogue(reply, ask, sink, stop))
        return Answer()


def _put_catalogue(reply: Reply, ask: Ask, sink: Sink, stop: threading.Event) -> None:
    with reply.open() as file:
        for entry in stoppable(entries(file), stop):
            sink.put(Found(None, {**ask.dimensions, "value": entry.name}, {}, {**entry.more, "label": entry.label}))
