"""The live catalogue as one account sees it: fetched once, again after a day, and again before it refuses anything."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from scheduler.errors import ExportRefused, PullError, Retryable
from scheduler.sources.in_thread import in_thread, stoppable
from scheduler.sources.profitmetrics.catalogue import Catalogue, entries
from scheduler.sources.profitmetrics.endpoints import METRICS_PATH
from scheduler.sources.profitmetrics.refusal import judge

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from datetime import datetime

    from scheduler.caller import Caller
    from scheduler.reply import Reply
    from scheduler.sources.profitmetrics.catalogue import Entry

KEPT: Final = timedelta(days=1)


class LiveCatalogue:
    """What `export/metrics` says. Times are those of the asks that want to know."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._lock = asyncio.Lock()
        self._kept: Catalogue | None = None
        self._fetched: datetime | None = None

    async def get(self, now: datetime) -> Catalogue:
        """Return the catalogue, at most a day old. Raises PullError when it cannot be had, ExportRefused never."""
        async with self._lock:
            if self._kept is None or self._fetched is None or now - self._fetched > KEPT:
                return await self._fetch(now)
            return self._kept

    async def newest(self, now: datetime) -> Catalogue:
        """Return it as it is in this pull, begun at `now`. Raises as `get`."""
        async with self._lock:
            if self._kept is None or self._fetched is None or now > self._fetched:
                return await self._fetch(now)
            return self._kept

    async def refusal(self, metrics: Sequence[str], now: datetime) -> ExportRefused | None:
        """Return why the vendor has not all of these metrics, by its newest word; None: it has. Raises as `get`."""
        refused = (await self.get(now)).refusal(metrics)
        return refused and (await self.newest(now)).refusal(metrics)

    async def explained(self, error: ExportRefused, metrics: Sequence[str], now: datetime) -> ExportRefused:
        """Return why a request with these metrics was refused: one of them may be gone since; else `error` itself."""
        try:
            return (await self.newest(now)).refusal(metrics) or error
        except PullError:
            return error  # a refusal stays one, whatever becomes of finding out more

    async def _fetch(self, now: datetime) -> Catalogue:
        try:
            async with self._caller.ask("GET", METRICS_PATH, judge=judge) as reply:
                found = await in_thread(lambda stop: _read(reply, stop))
        except ExportRefused as error:
            # Whatever is wrong with this request, it is no export's.
            raise Retryable(f"the live catalogue cannot be had: {error}") from error
        self._kept, self._fetched = Catalogue(found), now
        return self._kept


def _read(reply: Reply, stop: threading.Event) -> list[Entry]:
    with reply.open() as file:
        return list(stoppable(entries(file), stop))
