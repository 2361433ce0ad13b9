"""The fault port: a JSON API to break the stand-ins and to look into them. Its own listener, on loopback only.

GET, PUT, DELETE /faults    the fault rules (`sandbox.faults.rules`)
GET, PUT, DELETE /switches  plan, quota, knobs of the ingestion API (`sandbox.tolinku.switches`)
PUT /switches/<appspace>    the same for one appspace, in place of the general ones
GET /store                  what arrived, counted
GET /store/arrivals         what arrived, as NDJSON (`sandbox.tolinku.export`)

GET, PUT, DELETE /profitmetrics/switches  sites, limits, restatements, knobs of ProfitMetrics (`sandbox.profitmetrics.switches`)
GET, DELETE /profitmetrics/requests       what it was asked: counts, the most at once, the last ones (`?last=50`)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from sandbox.errors import errors_as_json
from sandbox.faults.rules import FaultPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.typing import FilteringBoundLogger

    from sandbox.faults.injector import Injector


def control_app(injector: Injector, routes: Sequence[web.RouteDef], log: FilteringBoundLogger) -> web.Application:
    """Return the fault port's application; `routes` are what the stand-ins add to it."""
    app = web.Application(middlewares=[errors_as_json(log)])
    faults = FaultRoutes(injector)
    app.add_routes(
        [
            web.get("/", _index),
            web.get("/faults", faults.show),
            web.put("/faults", faults.set),
            web.delete("/faults", faults.clear),
            *routes,
        ]
    )
    return app


class FaultRoutes:
    """The routes `/faults`."""

    def __init__(self, injector: Injector) -> None:
        self._injector = injector

    async def show(self, _request: web.Request) -> web.Response:
        """Answer with the rules in force, each with how often it was applied."""
        return web.Response(body=msgspec.json.encode(self._injector.describe()), content_type="application/json")

    async def set(self, request: web.Request) -> web.Response:
        """Replace the rules."""
        self._injector.set(msgspec.json.decode(await request.read(), type=FaultPlan))
        return await self.show(request)

    async def clear(self, request: web.Request) -> web.Response:
        """Take all rules back."""
        self._injector.set(FaultPlan())
        return await self.show(request)


async def _index(_request: web.Request) -> web.Response:
    return web.Response(text=__doc__)
