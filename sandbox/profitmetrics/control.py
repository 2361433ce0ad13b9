"""What the fault port offers for this stand-in: its switches, and what was asked, as the tests' oracle.

GET, PUT, DELETE /profitmetrics/switches   the knobs (`sandbox.profitmetrics.switches`)
GET, DELETE      /profitmetrics/requests   counts, the most requests at once, the last ones (`?last=50`); keys are shown
                                           as aliases
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from sandbox.profitmetrics.switches import Count, Switches

if TYPE_CHECKING:
    from sandbox.profitmetrics.switches import Switchboard
    from sandbox.profitmetrics.traffic import Traffic


class Last(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many requests are shown."""

    last: Count = 50


class Control:
    """The routes `/profitmetrics/switches` and `/profitmetrics/requests`."""

    def __init__(self, switchboard: Switchboard, traffic: Traffic) -> None:
        self._switchboard = switchboard
        self._traffic = traffic

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/profitmetrics/switches", self.switches),
            web.put("/profitmetrics/switches", self.set),
            web.delete("/profitmetrics/switches", self.reset),
            web.get("/profitmetrics/requests", self.requests),
            web.delete("/profitmetrics/requests", self.forget),
        ]

    async def switches(self, _request: web.Request) -> web.Response:
        """Answer with the switches in force."""
        return _answer(self._switchboard.switches)

    async def set(self, request: web.Request) -> web.Response:
        """Set the switches; what is left out goes back to its default."""
        self._switchboard.switches = msgspec.json.decode(await request.read(), type=Switches)
        return await self.switches(request)

    async def reset(self, request: web.Request) -> web.Response:
        """Put all switches back."""
        self._switchboard.switches = Switches()
        return await self.switches(request)

    async def requests(self, request: web.Request) -> web.Response:
        """Answer with what was asked."""
        wanted = msgspec.convert(dict(request.query), Last, strict=False)
        return _answer(self._traffic.describe(wanted.last))

    async def forget(self, request: web.Request) -> web.Response:
        """Begin to count anew."""
        self._traffic.clear()
        return await self.requests(request)


def _answer(content: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), content_type="application/json")
