"""The gateway as a process: what it is built from, how it starts, how it drains."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from broker.factory import open_broker
from gateway.assembly import Assembly
from gateway.server import make_server
from gateway.storage import opened, spool_owned
from gateway.workers import supervise
from runtime import worker
from runtime.errors import listen_failed

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from gateway.edge import Edge
    from gateway.storage import Opening
    from runtime.process import Process
    from runtime.settings import Settings

BACKLOG = 1024
PATIENCE_SECONDS = 5.0
"""How long those who connect wait for a gateway that has nowhere to store an event yet; then they are told."""
NOTICE_SHARE = 0.05
"""Of the drain's time, how long it goes on to listen after readiness has turned false."""
FLUSH_SHARE = 0.25
"""Of the drain's time, what is kept for the publisher after the last request."""


async def main(settings: Settings, process: Process) -> None:
    """Serve until the process is asked to stop, then drain: requests in flight are answered, what they published is flushed.

    Raises OperatorError when the port or the spool cannot be had, or a topic is missing that must not be created.
    """
    if worker.is_one(os.environ):
        await serve(settings, process)
        return
    async with spool_owned(settings) as owner:
        if settings.gateway.workers > 1:
            await supervise(settings, process, owner)
        else:
            await serve(settings, process)


async def serve(settings: Settings, process: Process) -> None:
    """Serve in this process, as `main` says. While there is nowhere to store an event, it listens all the same and says so, not ready."""
    broker = open_broker(settings.broker, process.metrics, process.log, process.clock)
    try:
        async with opened(settings, process, broker) as opening:
            await asyncio.wait((opening.storage,), timeout=PATIENCE_SECONDS)
            await _serve(settings, process, Assembly(settings, process, broker), opening)
    finally:
        await broker.close()


async def _serve(settings: Settings, process: Process, assembly: Assembly, opening: Opening) -> None:
    edge = await assembly.edge(opening.why)
    storage = opening.storage.result() if opening.storage.done() else None
    if storage is not None:
        await assembly.store_in(storage, edge)
    if process.stopping.is_set():
        return
    async with listening(edge, settings, process, worker.listener(os.environ)) as port:
        url = f"http://{settings.gateway.host}:{port}"
        if storage is None:
            process.log.warning("listening, but no event is accepted yet", url=url, reason=opening.why())
            storage = await opening.storage
            if process.stopping.is_set():
                storage = None
            if storage is not None:
                await assembly.store_in(storage, edge)
        if storage is not None or process.ended:
            # Else it begins again, with another configuration.
            worker.release(os.environ)
        if storage is not None:
            process.health.add("broker", storage.publisher.fault)
            process.started(url=url, storefronts=len(settings.storefronts))
            await process.stopping.wait()
        edge.drain()
        if storage is not None:
            # Who sends to whom is told, and some are told late.
            await process.clock.sleep(settings.gateway.drain_seconds * NOTICE_SHARE)
    if storage is not None:
        await storage.publisher.close(settings.gateway.drain_seconds * FLUSH_SHARE)


@asynccontextmanager
async def listening(
    edge: Edge, settings: Settings, process: Process, listener: socket.socket | None = None
) -> AsyncIterator[int]:
    """Listen, where the configuration says or on `listener`, and yield the port. On leaving no new connection is taken, requests in flight
    have their time to be answered.
    """
    host, port = settings.gateway.host, settings.gateway.port
    drain = settings.gateway.drain_seconds * (1 - FLUSH_SHARE - NOTICE_SHARE)
    server = make_server(edge, edge.told, express=edge.express)
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=drain / 2)
    await runner.setup()
    try:
        site: web.BaseSite = (
            web.TCPSite(runner, host, port, backlog=BACKLOG)
            if listener is None
            else web.SockSite(runner, listener, backlog=BACKLOG)
        )
        try:
            await site.start()
        except OSError as error:
            raise listen_failed("the gateway", host, port, error) from error
        yield runner.addresses[0][1]
        await site.stop()
        await _answered(server, drain / 2)
    finally:
        await runner.cleanup()
        await edge.close()
        process.log.info("gateway closed", requests=server.requests_count)


async def _answered(server: web.Server, seconds: float) -> None:
    """Wait until idle connections are closed and busy ones have answered, at most `seconds`."""
    server.pre_shutdown()
    deadline = asyncio.get_running_loop().time() + seconds
    while server.connections and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - aiohttp tells nobody when a connection ends
        await asyncio.sleep(0.01)
