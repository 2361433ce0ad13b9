"""The admin server of every role: /livez, /readyz, /metrics, and what the role has to show beside them."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import orjson
from aiohttp import web
from prometheus_client.exposition import choose_encoder

from runtime.errors import listen_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from prometheus_client import CollectorRegistry
    from structlog.typing import FilteringBoundLogger

    from runtime.health import Health

# A probe or a scrape that is under way at the end may finish; nothing else is lost with it.
_SHUTDOWN_SECONDS = 1.0


class AdminServer:
    """Serves the three pages on `host`:`port`; port 0 picks a free one. `pages`: what makes the role's own, in JSON, by
    their path; called in a thread.

    Life: `async with`, or `start` → `close`.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        registry: CollectorRegistry,
        health: Health,
        log: FilteringBoundLogger,
        pages: Mapping[str, Callable[[], bytes]] = MappingProxyType({}),
    ) -> None:
        self._host = host
        self._port = port
        self._registry = registry
        self._health = health
        self._log = log
        self._pages = pages
        self._scrape = asyncio.Lock()
        app = web.Application()
        app.add_routes(
            [
                web.get("/livez", self._livez),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
                *(web.get(path, self._page) for path in pages),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_SECONDS)

    @property
    def port(self) -> int:
        """Where it listens, once it has started."""
        return self._port

    async def start(self) -> None:
        """Listen. Raises ListenError when the address cannot be had."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise listen_failed("the admin server", self._host, self._port, error) from error
        self._port = self._runner.addresses[0][1]
        self._log.info("admin listening", host=self._host, port=self._port)

    async def close(self) -> None:
        """Stop listening; answers under way have a second to finish. Idempotent."""
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    async def _livez(self, _request: web.Request) -> web.Response:
        # That the event loop came round to answer is all that it says.
        return web.Response(text="ok")

    async def _readyz(self, _request: web.Request) -> web.Response:
        reasons = self._health.reasons()
        body = {"ready": False, "reasons": reasons} if reasons else {"ready": True}
        return web.Response(
            status=503 if reasons else 200, body=orjson.dumps(body), content_type="application/json", charset="utf-8"
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        try:
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        except (ValueError, TypeError):  # a version that is no number
            encode, content_type = choose_encoder("")
        # Thousands of series take tens of milliseconds: in a thread, so that requests go on meanwhile; one at a time
        # bounds it.
        async with self._scrape:
            page = await asyncio.to_thread(encode, self._registry)
        return web.Response(body=page, headers={"Content-Type": content_type})

    async def _page(self, request: web.Request) -> web.Response:
        page = await asyncio.to_thread(self._pages[request.path])
        return web.Response(body=page, content_type="application/json")
