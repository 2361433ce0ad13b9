"""The gateway as a process: what it is built from, how it starts, how it drains."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from broker.factory import open_broker
from broker.spool.publisher import SpooledPublisher
from broker.spool.spool import Spool
from broker.startup import ready_broker
from gateway.configured import PINS, Configured, topics
from gateway.edge import Edge
from gateway.intake import Intake
from gateway.limits import InFlight
from gateway.report import Reporter
from gateway.server import make_server
from gateway.workers import supervise
from runtime import worker
from runtime.errors import listen_failed
from schemas.topics import REJECTED

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from broker.interface import Broker, Publisher
    from gateway.upstream import Limits
    from runtime.process import Process
    from runtime.settings import Settings

MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024
MAX_IN_FLIGHT_REQUESTS = 4096
ACK_TIMEOUT_SECONDS = 10.0
BACKLOG = 1024
NOTICE_SHARE = 0.05
"""Of the drain's time, how long it goes on to listen after readiness has turned false."""
FLUSH_SHARE = 0.25
"""Of the drain's time, what is kept for the publisher after the last request."""


async def main(settings: Settings, process: Process) -> None:
    """Serve until the process is asked to stop, then drain: requests in flight are answered, what they published is flushed.

    Raises OperatorError when the port cannot be had or a topic is missing that must not be created.
    """
    if settings.gateway.workers > 1 and not worker.is_one(os.environ):
        await supervise(settings, process)
        return
    broker = open_broker(settings.broker, process.metrics, process.log, process.clock)
    try:
        if not await ready_broker(broker, topics(settings), process, create=settings.broker.create_topics):
            return
        async with publishing(settings, process, broker) as (publisher, spool):
            process.health.add("broker", publisher.fault)
            edge = await build(settings, process, broker, publisher, spool=spool)
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


@asynccontextmanager
async def publishing(
    settings: Settings, process: Process, broker: Broker
) -> AsyncIterator[tuple[Publisher, Spool | None]]:
    """Yield what publishes: to Kafka with the spool before it, if there is to be one, and that. Raises Unavailable when its place cannot
    be used.
    """
    if settings.broker.kind == "embedded" or not settings.gateway.spool_max_bytes:
        yield await broker.publisher(ack_timeout=ACK_TIMEOUT_SECONDS, max_pending_bytes=MAX_IN_FLIGHT_BYTES), None
        return
    gateway = settings.gateway
    spool = Spool(gateway.spool_path, gateway.spool_max_bytes, process.metrics, process.log, process.clock)
    try:
        await spool.start({each.name: await broker.partitions(each.name) for each in topics(settings)})
        # One of its own: what it is at has its own pace, and no relief but to be tried again.
        await spool.drain_into(await broker.publisher())
        publisher = await broker.publisher(
            ack_timeout=ACK_TIMEOUT_SECONDS, max_pending_bytes=MAX_IN_FLIGHT_BYTES, relief=spool
        )
        yield SpooledPublisher(publisher, spool), spool
    finally:
        await spool.close()


async def build(
    settings: Settings,
    process: Process,
    broker: Broker,
    publisher: Publisher,
    limits: Limits | None = None,
    spool: Spool | None = None,
) -> Edge:
    """Return the edge, with the partition counts that the topics have now: they are pinned until the process ends. It takes over every
    configuration that `process` reads from now on. `limits`: of what is passed through; `spool`: what is before `publisher`.
    """
    in_flight = InFlight(MAX_IN_FLIGHT_BYTES, MAX_IN_FLIGHT_REQUESTS, process.metrics, process.clock)
    intake = Intake(publisher, await broker.partitions(REJECTED), in_flight.retry_after, process.clock, process.log)
    configured = Configured(process, broker, in_flight, limits)
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
