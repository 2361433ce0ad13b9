"""The gateway as a process: what it is built from, how it starts, how it drains."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from aiohttp import web

from broker.factory import open_broker
from gateway.configured import PINS, Configured
from gateway.edge import Edge
from gateway.intake import Intake
from gateway.limits import InFlight
from gateway.report import Reporter
from gateway.server import make_server
from gateway.storage import opened, spool_owned
from gateway.workers import supervise
from runtime import worker
from runtime.errors import listen_failed
from schemas.topics import REJECTED

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Mapping

    from broker.interface import Broker, Publisher
    from broker.spool.spool import Spool
    from gateway.upstream import Limits
    from runtime.process import Process
    from runtime.settings import Settings

MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024
MAX_IN_FLIGHT_REQUESTS = 4096
BACKLOG = 1024
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
    """Serve in this process, as `main` says."""
    broker = open_broker(settings.broker, process.metrics, process.log, process.clock)
    try:
        async with opened(settings, process, broker) as storage:
            if storage is None:
                return
            publisher = storage.publisher
            process.health.add("broker", publisher.fault)
            edge = await build(settings, process, broker, publisher, spool=storage.spool, partitions=storage.partitions)
            if process.stopping.is_set():
                # Perhaps to begin again with another configuration: the socket to listen on is had but once.
                return
            async with listening(edge, settings, process, worker.listener(os.environ)) as port:
                process.started(url=f"http://{settings.gateway.host}:{port}", storefronts=len(settings.storefronts))
                await process.stopping.wait()
                edge.drain()
                # Who sends to whom is told, and some are told late.
                await process.clock.sleep(settings.gateway.drain_seconds * NOTICE_SHARE)
            await publisher.close(settings.gateway.drain_seconds * FLUSH_SHARE)
    finally:
        await broker.close()


async def build(
    settings: Settings,
    process: Process,
    broker: Broker,
    publisher: Publisher,
    limits: Limits | None = None,
    spool: Spool | None = None,
    partitions: Mapping[str, int] = MappingProxyType({}),
) -> Edge:
    """Return the edge, with the partition counts that the topics have now: they are pinned until the process ends. It takes over every
    configuration that `process` reads from now on. `limits`: of what is passed through; `spool`: what is before `publisher`; `partitions`:
    of the topics of which the broker need not be asked.
    """
    in_flight = InFlight(MAX_IN_FLIGHT_BYTES, MAX_IN_FLIGHT_REQUESTS, process.metrics, process.clock)
    rejected = partitions.get(REJECTED) or await broker.partitions(REJECTED)
    intake = Intake(publisher, rejected, in_flight.retry_after, process.clock, process.log)
    configured = Configured(process, broker, in_flight, limits, partitions)
    storefronts, passage = await configured.make(settings)
    edge = Edge(
        settings.gateway,
        storefronts,
        intake,
        passage,
        in_flight,
        Reporter(process.metrics, process.log, process.clock),
        process.clock,
        process.log,
    )
    process.on_reload(partial(configured.take_over, edge=edge, spool=spool), PINS)
    return edge


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
