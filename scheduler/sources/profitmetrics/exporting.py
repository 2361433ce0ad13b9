"""Asks for exports, one at a time, until each is answered to its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from scheduler.sources.in_thread import in_thread
from scheduler.sources.interface import Answer
from scheduler.sources.profitmetrics.endpoints import EXPORT_PATH, SITES_FIELD
from scheduler.sources.profitmetrics.export import ExportRows, body, buckets, read
from scheduler.sources.profitmetrics.refusal import RequestRefused, SitesRefused, judge
from scheduler.sources.profitmetrics.series import day
from scheduler.sources.profitmetrics.stream import Malformed

if TYPE_CHECKING:
    from datetime import date

    from scheduler.buckets import WeekStart
    from scheduler.caller import Caller
    from scheduler.plan import Window
    from scheduler.sources.interface import Ask, Sink
    from scheduler.sources.profitmetrics.catalogue import Catalogue
    from scheduler.sources.profitmetrics.live import LiveCatalogue

_COUNTED: Final = "NUMBER_OF_ORDERS"
_ANY_CURRENCY: Final = "EUR"
"""Several sites need one, even to count orders."""


class Exporting:
    """Asks `export/v2` for one account."""

    def __init__(self, caller: Caller, live: LiveCatalogue, week_starts: WeekStart) -> None:
        self._caller = caller
        self._live = live
        self._week_starts = week_starts

    async def pull(self, ask: Ask, sink: Sink) -> Answer:
        """Answer one ask. Raises PullError."""
        metrics = ask.query.get("metrics", ())
        refused = await self._live.refusal(metrics, ask.now)
        if refused is not None:
            raise refused
        try:
            rest = await self._part(ask, sink, is_first=True)
            while rest is not None:
                rest = await self._part(replace(ask, window=rest), sink, is_first=False)
        except SitesRefused as error:
            raise SitesRefused(f"{error}; asked for csids {', '.join(map(str, ask.query['csids']))}") from error
        except RequestRefused as error:
            raise await self._live.explained(error, metrics, ask.now) from error
        return Answer(currency=ask.query.get("currency"), timezone=ask.plan.shape.zone.key)

    async def beginning(self, ask: Ask) -> date:
        """Return the day of the first order of all the export's sites, in its zone; without any, today. Raises PullError."""
        export, zone = ask.plan.export, ask.plan.shape.zone
        request = {
            "csids": export.query[SITES_FIELD[export.dataset]],
            "currency": export.query.get("currency", _ANY_CURRENCY),
            "resolution": "TOTAL",
            "timezone": zone.key,
            "metrics": [_COUNTED],
        }
        async with self._caller.ask("POST", EXPORT_PATH, judge=judge, body=request) as reply:
            found = await in_thread(lambda stop: list(buckets(reply, stop)))
            if not found:
                return ask.now.astimezone(zone).date()
            if not isinstance(found[0], dict):
                raise Malformed("a bucket that is no object")
            return day(found[0].get("timestamp"))

    async def _part(self, ask: Ask, sink: Sink, *, is_first: bool) -> Window | None:
        """Ask once; return what the answer seems to lack."""
        whole_life = is_first and ask.plan.export.lookback.kind == "all"
        known = await self._live.get(ask.now)
        rows = await self._ask(ask, sink, known, whole_life=whole_life)
        if rows.unknown_labels:
            newest = await self._live.newest(ask.now)
            if newest is not known and any(newest.name(label, ()) for label in rows.unknown_labels):
                # A label has changed since the catalogue was fetched: asked again, the rows replace what was flagged.
                rows = await self._ask(ask, sink, newest, whole_life=whole_life)
        return rows.rest(cuts=not is_first)

    async def _ask(self, ask: Ask, sink: Sink, catalogue: Catalogue, *, whole_life: bool) -> ExportRows:
        rows = ExportRows(ask, sink, self._week_starts, catalogue)
        async with self._caller.ask("POST", EXPORT_PATH, judge=judge, body=body(ask, whole_life=whole_life)) as reply:
            await in_thread(lambda stop: read(reply, rows, stop))
        return rows
