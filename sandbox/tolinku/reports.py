"""The query endpoints of seed 003, computed from what arrived. So far: `overview`."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

from sandbox.tolinku import answers
from sandbox.tolinku.overview import overview
from sandbox.tolinku.period import InvalidPeriod, period

if TYPE_CHECKING:
    from aiohttp import web

    from runtime.clock import Clock
    from sandbox.tolinku.arrivals import Arrivals
    from sandbox.tolinku.door import Call
    from sandbox.tolinku.overview import Overview
    from sandbox.tolinku.period import Period


class Reports:
    """Carries out the routes that read."""

    def __init__(self, arrivals: Arrivals, clock: Clock) -> None:
        self._arrivals = arrivals
        self._clock = clock

    async def overview(self, call: Call) -> web.Response:
        """Answer with the figures of the period asked for."""
        switches = call.switches
        try:
            span = period(
                call.query,
                self._clock.now(),
                retention_days=switches.retention_days,
                end_inclusive=switches.end_inclusive,
            )
        except InvalidPeriod as error:
            return answers.refusal(400, str(error), "INVALID_PERIOD")
        return answers.answer(await asyncio.to_thread(self._overview, call.appspace, span, switches.base_currency))

    def _overview(self, appspace: str, span: Period, base_currency: str) -> Overview:
        with closing(self._arrivals.connect()) as connection:
            return overview(connection, appspace, span, base_currency)
