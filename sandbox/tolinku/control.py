"""What the fault port offers for this stand-in: its switches, and its store as the tests' oracle."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from sandbox.tolinku import answers
from sandbox.tolinku.export import Selection, pages
from sandbox.tolinku.switches import Switches

if TYPE_CHECKING:
    from sandbox.tolinku.appspaces import Appspaces
    from sandbox.tolinku.arrivals import Arrivals
    from sandbox.tolinku.switches import Switchboard


class Control:
    """The routes `/switches` and `/store`."""

    def __init__(self, arrivals: Arrivals, switchboard: Switchboard, appspaces: Appspaces) -> None:
        self._appspaces = appspaces
        self._arrivals = arrivals
        self._switchboard = switchboard

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/switches", self.switches),
            web.put("/switches", self.set_general),
            web.put("/switches/{appspace}", self.set_own),
            web.delete("/switches", self.reset),
            web.get("/store", self.counts),
            web.get("/store/arrivals", self.export),
        ]

    async def switches(self, _request: web.Request) -> web.Response:
        """Answer with the general switches and those of each appspace that has its own."""
        return answers.answer({"general": self._switchboard.general, "appspaces": self._switchboard.own})

    async def set_general(self, request: web.Request) -> web.Response:
        """Set the general switches; what is left out goes back to its default."""
        self._switchboard.general = msgspec.json.decode(await request.read(), type=Switches)
        return await self.switches(request)

    async def set_own(self, request: web.Request) -> web.Response:
        """Set the switches of one appspace, in place of the general ones."""
        appspace = request.match_info["appspace"]
        if appspace not in self._appspaces.names:
            there_are = ", ".join(sorted(self._appspaces.names))
            return answers.refusal(404, f"there is no appspace {appspace}; there are: {there_are}")
        self._switchboard.own[appspace] = msgspec.json.decode(await request.read(), type=Switches)
        return await self.switches(request)

    async def reset(self, request: web.Request) -> web.Response:
        """Put all switches back."""
        self._switchboard.reset()
        return await self.switches(request)

    async def counts(self, _request: web.Request) -> web.Response:
        """Answer with what arrived, by appspace and type. `transactions`: distinct transaction ids among those that
        count.
        """
        rows = await asyncio.to_thread(self._arrivals.counts)
        appspaces: dict[str, dict[str, Any]] = defaultdict(lambda: {"arrivals": 0, "ignored": 0, "event_types": {}})
        for row in rows:
            total = appspaces[row.appspace]
            total["arrivals"] += row.arrivals
            total["ignored"] += row.ignored
            total["event_types"][row.event_type] = {
                "arrivals": row.arrivals,
                "ignored": row.ignored,
                "transactions": row.transactions,
            }
        return answers.answer({"arrivals": sum(row.arrivals for row in rows), "appspaces": appspaces})

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Stream what arrived until now, one JSON object on a line, in the order of arrival."""
        selection = _selection(request)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async for page in pages(self._arrivals, selection):
            await response.write(page)
        return response


def _selection(request: web.Request) -> Selection:
    wanted: dict[str, Any] = dict(request.query)
    if "fields" in wanted:
        wanted["fields"] = wanted["fields"].split(",")
    if "property" in wanted:
        wanted["property"] = request.query.getall("property")
    return msgspec.convert(wanted, Selection, strict=False)
