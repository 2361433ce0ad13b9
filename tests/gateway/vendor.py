"""A vendor's API that the gateway passes requests on to, and what a test asks of both."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from aiohttp import web
from pydantic import SecretStr
from yarl import URL

from runtime.settings import IngestionSettings, StorefrontSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from multidict import CIMultiDictProxy

    from tests.gateway.conftest import Gateway

OVERVIEW = "/v1/api/analytics/ecommerce/overview"
MESSAGES = "/v1/api/messages"
OURS = "tolk_sec_upstream"
SHOP = "https://shop.acme.example"


class Asked(NamedTuple):
    method: str
    target: str
    headers: CIMultiDictProxy[str]
    body: bytes


class Vendor:
    """A real server that writes down what it is asked and answers with `answer`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        self.url = ""
        self.arrived = asyncio.Event()
        self.answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] = self._ok

    async def _ok(self, _: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"total_revenue": 12450.0})

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(
            Asked(request.method, request.rel_url.raw_path_qs, request.headers, await request.content.read())
        )
        self.arrived.set()
        return await self.answer(request)


@asynccontextmanager
async def serving() -> AsyncIterator[Vendor]:
    """Serve one."""
    vendor = Vendor()
    server = web.Server(vendor, auto_decompress=False)

    def connected() -> Any:
        vendor.connections += 1
        return server()

    listener = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    vendor.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield vendor
    finally:
        listener.close()
        server.pre_shutdown()
        await server.shutdown(0.1)


def shop(vendor_url: str, name: str = "acme", **more: Any) -> StorefrontSettings:
    return StorefrontSettings(
        name=name,
        publishable_keys=[SecretStr(f"tolk_pub_{name}")],
        secret_keys=[SecretStr(f"tolk_sec_{name}")],
        ingestion=IngestionSettings(url=vendor_url, api_key=SecretStr(OURS)),
        **more,
    )


async def send(
    gateway: Gateway, method: str, path: str, key: str | None = "tolk_sec_acme", **more: Any
) -> tuple[int, bytes, CIMultiDictProxy[str]]:
    headers = ({"X-API-Key": key} if key else {}) | more.pop("headers", {})
    async with gateway.session.request(
        method, URL(gateway.url + path, encoded=True), headers=headers, allow_redirects=False, **more
    ) as response:
        return response.status, await response.read(), response.headers


def code(body: bytes) -> str:
    return str(orjson.loads(body)["code"])


async def raw(gateway: Gateway, head: str, body: str = "") -> tuple[int, bytes]:
    """Send what no client of good manners would."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{head}Host: x\r\nConnection: close\r\n\r\n{body}".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    top, _, rest = answer.partition(b"\r\n\r\n")
    return int(top.split(b" ")[1]), rest
