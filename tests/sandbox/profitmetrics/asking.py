"""ProfitMetrics' stand-in on real sockets in the test's own event loop, and what a test asks of it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
import structlog
from aiohttp import web

from runtime.clock import ManualClock
from sandbox.control import control_app
from sandbox.faults.effects import Stage
from sandbox.faults.injector import Injector
from sandbox.profitmetrics.stand_in import PREFIX, ROOT, profitmetrics
from tests.sandbox.running import Answer, Running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from runtime.clock import Clock

V2, CSV, METRICS, REPORTS = "export/v2", "export/csv", "export/metrics", "data/reports"
KEY, NARROW_KEY = "pm_all", "pm_narrow"
EUROS, KRONER = 10000394, 10000816
NOW = datetime(2026, 6, 17, 10, 20, tzinfo=UTC)  # a Wednesday, 12:20 in Copenhagen


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> str:
    """Return an instant as the switches take it."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC).isoformat()


def report(
    metrics: list[str], start: str, end: str, *, sites: Collection[int] = (EUROS,), resolution: str = "DAY", **more: Any
) -> dict[str, Any]:
    return {
        "id": "r",
        "sites": list(sites),
        "currency": "EUR",
        "resolution": resolution,
        "period": {"fromIncl": start, "toExcl": end},
        "metrics": metrics,
        **more,
    }


class Asking(Running):
    """A running stand-in."""

    async def ask(self, path: str, body: Any, *, key: str | None = KEY, **headers: str) -> Answer:
        credentials = {} if key is None else {"X-ProfitMetrics-Action-KEY": key}
        sent = {"Content-Type": "application/json", **credentials, **headers}
        method = "GET" if body is None else "POST"
        return await self.request(method, f"{self.url}{PREFIX}{ROOT}/{path}", body, headers=sent)

    async def export(self, metrics: list[str] | None = None, *, key: str = KEY, **body: Any) -> list[dict[str, Any]]:
        answer = await self.ask(V2, {"csids": [EUROS], "resolution": "DAY", "metrics": metrics, **body}, key=key)
        assert (answer.status, answer.body["success"]) == (200, True), answer.body
        buckets: list[dict[str, Any]] = answer.body["data"]["data"]
        return buckets

    async def report(
        self, metrics: list[str], start: str, end: str, *, outer: bool = False, **more: Any
    ) -> list[dict[str, Any]]:
        body: dict[str, Any] = {"reports": [report(metrics, start, end, **more)]}
        if outer:
            body["calculateWithNotConfiguredMarketingChannels"] = True
        answer = await self.ask(REPORTS, body)
        assert (answer.status, answer.body["success"]) == (200, True), answer.body
        buckets: list[dict[str, Any]] = answer.body["data"]["reports"][0]["metrics"]
        return buckets

    async def numbers(self, metric: str, start: str, end: str, **more: Any) -> list[float]:
        return [bucket["data"][metric]["value"]["value"] for bucket in await self.report([metric], start, end, **more)]

    async def put(self, switches: dict[str, Any]) -> Answer:
        body = orjson.dumps(switches, option=orjson.OPT_NON_STR_KEYS)  # sites by their numbers
        return await self.request("PUT", f"{self.control_url}{PREFIX}/switches", body)

    async def set(self, **switches: Any) -> None:
        answer = await self.put(switches)
        assert answer.status == 200, answer.body

    async def asked(self, last: int = 50) -> Any:
        return (await self.request("GET", f"{self.control_url}{PREFIX}/requests?last={last}")).body


@asynccontextmanager
async def asking(
    clock: Clock | None = None, keys: Mapping[str, Collection[int] | None] | None = None
) -> AsyncIterator[Asking]:
    """Run the stand-in, at NOW unless another clock is given."""
    clock, log = clock or ManualClock(NOW.timestamp()), structlog.get_logger()
    injector, stage = Injector(), Stage(clock)
    stand_in = profitmetrics(keys or {KEY: None, NARROW_KEY: [EUROS]}, injector, stage, clock, log)
    main = web.Application()
    main.add_subapp(PREFIX, stand_in.app)
    async with AsyncExitStack() as stack:
        control = await stack.enter_async_context(_listening(control_app(injector, stand_in.control_routes, log)))
        url = await stack.enter_async_context(_listening(main))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        stack.callback(stage.close)
        yield Asking(url, control, session)


@asynccontextmanager
async def _listening(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
