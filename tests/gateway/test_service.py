"""The gateway as a process: how it starts, how it ends."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
import structlog

from gateway.service import listening
from runtime.clock import SystemClock
from runtime.errors import OperatorError
from runtime.health import Health
from runtime.metrics import Metrics
from runtime.process import Process
from runtime.settings import GatewaySettings, Settings
from tests.gateway.conftest import TRACK, RecordingPublisher, Topics, build, storefront

VIEW = b'{"event_type":"view_cart"}'
HEADERS = {"X-API-Key": "tolk_pub_acme", "Content-Type": "application/json"}


async def test_a_request_in_flight_is_answered_and_its_connection_closed() -> None:
    settings = Settings(storefronts=[storefront("acme")], gateway=GatewaySettings(port=0, drain_seconds=5))
    process = Process(
        "gateway", log=structlog.get_logger(), metrics=Metrics(), health=Health(), clock=SystemClock(), drain_seconds=5
    )
    publisher = RecordingPublisher()
    publisher.held = []
    edge = await build(settings, process, Topics(), publisher)
    async with aiohttp.ClientSession() as session:
        async with listening(edge, settings, process) as port:
            url = f"http://127.0.0.1:{port}{TRACK}"
            request = asyncio.ensure_future(session.post(url, data=VIEW, headers=HEADERS))
            await publisher.hold(1)
            edge.drain()
            asyncio.get_running_loop().call_later(0.05, publisher.held[0].set_result, None)
        response = await request
        assert response.status == 200
        assert response.headers["Connection"] == "close"
        assert await response.json() == {"ok": True}


async def test_idle_connections_do_not_hold_up_the_end() -> None:
    settings = Settings(storefronts=[storefront("acme")], gateway=GatewaySettings(port=0, drain_seconds=60))
    process = Process(
        "gateway", log=structlog.get_logger(), metrics=Metrics(), health=Health(), clock=SystemClock(), drain_seconds=60
    )
    edge = await build(settings, process, Topics(), RecordingPublisher())
    async with aiohttp.ClientSession() as session:
        async with asyncio.timeout(5), listening(edge, settings, process) as port:
            url = f"http://127.0.0.1:{port}{TRACK}"
            async with session.post(url, data=VIEW, headers=HEADERS) as response:
                assert response.status == 200
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.post(url, data=VIEW, headers=HEADERS)


async def test_a_port_in_use_is_one_clear_error() -> None:
    settings = Settings(storefronts=[storefront("acme")], gateway=GatewaySettings(port=0))
    process = Process(
        "gateway", log=structlog.get_logger(), metrics=Metrics(), health=Health(), clock=SystemClock(), drain_seconds=5
    )
    edge = await build(settings, process, Topics(), RecordingPublisher())
    async with listening(edge, settings, process) as port:
        taken = settings.model_copy(update={"gateway": GatewaySettings(port=port)})
        with pytest.raises(OperatorError, match=rf"127\.0\.0\.1:{port}"):
            async with listening(edge, taken, process):
                pass
