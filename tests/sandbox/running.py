"""A sandbox that runs in the test's own event loop, on real sockets and a real file, and what a test asks of it."""

from __future__ import annotations

import io
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import orjson
import structlog
from pydantic import SecretStr

from runtime.clock import ManualClock
from runtime.health import Health
from runtime.metrics import Metrics
from runtime.process import Process
from runtime.settings import IngestionSettings, SandboxSettings, Settings, StorefrontSettings
from sandbox.service import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from multidict import CIMultiDictProxy

    from runtime.clock import Clock

ROOT = "/v1/api/analytics/ecommerce"
TRACK, BATCH, OVERVIEW = f"{ROOT}/track", f"{ROOT}/batch", f"{ROOT}/overview"
PUBLISHABLE, SECRET, SENDS_WITH = "tolk_pub_acme", "tolk_sec_acme", "tolk_sec_acme_sluice"
VIEW = {"event_type": "view_cart", "user_id": "u1"}


def storefront(name: str) -> StorefrontSettings:
    return StorefrontSettings(
        name=name,
        publishable_keys=[SecretStr(f"tolk_pub_{name}")],
        secret_keys=[SecretStr(f"tolk_sec_{name}")],
        ingestion=IngestionSettings(url="http://127.0.0.1:8081", api_key=SecretStr(f"tolk_sec_{name}_sluice")),
    )


def settings(path: Path, port: int = 0, fault_port: int = 0) -> Settings:
    return Settings(
        storefronts=[storefront("acme"), storefront("other")],
        sandbox=SandboxSettings(port=port, fault_port=fault_port, path=str(path)),
    )


def purchase(transaction: str, revenue: float = 49.99, **more: Any) -> dict[str, Any]:
    return {"event_type": "purchase", "transaction_id": transaction, "revenue": revenue, **more}


def refund(transaction: str, revenue: float = 49.99, **more: Any) -> dict[str, Any]:
    return {"event_type": "refund", "transaction_id": transaction, "revenue": revenue, **more}


class Answer(NamedTuple):
    status: int
    body: Any
    headers: CIMultiDictProxy[str]


class Running:
    """A running sandbox. Bytes are sent as they are, anything else as JSON."""

    def __init__(self, url: str, control_url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.control_url = control_url
        self.session = session

    async def request(
        self, method: str, url: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        data = None if body is None else io.BytesIO(body if isinstance(body, bytes) else orjson.dumps(body))
        async with self.session.request(method, url, data=data, headers=headers) as response:
            content = await response.read()
            is_json = response.content_type == "application/json"
            return Answer(response.status, orjson.loads(content) if is_json else content, response.headers)

    async def post(
        self, path: str, body: Any, *, key: str | None = PUBLISHABLE, headers: Mapping[str, str] | None = None
    ) -> Answer:
        credentials = {} if key is None else {"X-API-Key": key}
        sent = {"Content-Type": "application/json", **credentials, **(headers or {})}
        return await self.request("POST", self.url + path, body, headers=sent)

    async def batch(self, *events: Any, key: str = PUBLISHABLE) -> Answer:
        return await self.post(BATCH, {"events": events}, key=key)

    async def overview(self, query: str = "", *, key: str = SECRET) -> Answer:
        return await self.request("GET", f"{self.url}{OVERVIEW}?{query}", headers={"X-API-Key": key})

    async def switch(self, appspace: str | None = None, **switches: Any) -> None:
        path = "/switches" if appspace is None else f"/switches/{appspace}"
        answer = await self.request("PUT", self.control_url + path, switches)
        assert answer.status == 200, answer.body

    async def fault(self, *rules: dict[str, Any], seed: int = 0) -> None:
        answer = await self.request("PUT", f"{self.control_url}/faults", {"seed": seed, "rules": rules})
        assert answer.status == 200, answer.body

    async def arrivals(self, query: str = "") -> list[dict[str, Any]]:
        answer = await self.request("GET", f"{self.control_url}/store/arrivals?{query}")
        assert answer.status == 200, answer.body
        return [orjson.loads(line) for line in answer.body.splitlines()]


def process(clock: Clock) -> Process:
    return Process(
        "sandbox", log=structlog.get_logger(), metrics=Metrics(), health=Health(), clock=clock, drain_seconds=5
    )


@asynccontextmanager
async def running(path: Path, clock: Clock | None = None) -> AsyncIterator[Running]:
    """Run a sandbox on the data at `path` with a clock that stands still unless another is given."""
    async with (
        serving(settings(path), process(clock or ManualClock())) as ports,
        aiohttp.ClientSession() as session,
    ):
        yield Running(f"http://127.0.0.1:{ports.main}", f"http://127.0.0.1:{ports.faults}", session)
