"""The query endpoints of seed 003 by name, and how each call of one is carried out."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sandbox.tolinku import answers
from sandbox.tolinku.queries.abandonment import abandonment
from sandbox.tolinku.queries.attribution import attribution
from sandbox.tolinku.queries.breakdowns import by_country, by_device, by_platform
from sandbox.tolinku.queries.channels import by_channel
from sandbox.tolinku.queries.cohorts import cohorts
from sandbox.tolinku.queries.coupons import by_coupon
from sandbox.tolinku.queries.funnel import funnel
from sandbox.tolinku.queries.journey import journey
from sandbox.tolinku.queries.overview import overview
from sandbox.tolinku.queries.parameters import InvalidParameter
from sandbox.tolinku.queries.period import InvalidPeriod, period
from sandbox.tolinku.queries.products import top_products
from sandbox.tolinku.queries.question import Question
from sandbox.tolinku.queries.timeseries import timeseries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

    from runtime.clock import Clock
    from sandbox.tolinku.arrivals import Arrivals
    from sandbox.tolinku.door import Call, Carries

REPORTS: Mapping[str, Callable[[Question], Mapping[str, Any]]] = {
    "overview": overview,
    "revenue-timeseries": timeseries,
    "funnel": funnel,
    "top-products": top_products,
    "revenue-by-channel": by_channel,
    "revenue-by-coupon": by_coupon,
    "revenue-by-device": by_device,
    "revenue-by-platform": by_platform,
    "revenue-by-country": by_country,
    "cart-abandonment": abandonment,
    "attribution": attribution,
    "cohorts": cohorts,
    "user-journey": journey,
}
"""By the last segment of their paths."""


class Reports:
    """Carries out the routes that read."""

    def __init__(self, arrivals: Arrivals, clock: Clock) -> None:
        self._arrivals = arrivals
        self._clock = clock

    def answering(self, report: Callable[[Question], Mapping[str, Any]]) -> Carries:
        """Return what answers calls of one report: its figures, or a 400 that says what is wrong with the parameters."""

        async def answer(call: Call) -> web.Response:
            try:
                return answers.answer(await asyncio.to_thread(self._compute, call, report))
            except InvalidPeriod as error:
                return answers.refusal(400, str(error), "INVALID_PERIOD")
            except InvalidParameter as error:
                return answers.refusal(400, str(error), "INVALID_PARAMETER")

        return answer

    def _compute(self, call: Call, report: Callable[[Question], Mapping[str, Any]]) -> Mapping[str, Any]:
        switches = call.switches
        span = period(
            call.query,
            self._clock.now(),
            retention_days=switches.retention_days,
            end_inclusive=switches.end_inclusive,
            clamps_dates=switches.clamps_dates,
            zone=ZoneInfo(switches.time_zone),
        )
        with closing(self._arrivals.connect()) as connection:
            return report(Question(call.appspace, span, switches.base_currency, call.query, connection))
