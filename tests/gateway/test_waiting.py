"""A gateway that has nowhere to store an event yet: it listens, says so, and accepts by itself as soon as it can."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from pydantic import SecretStr

from broker.startup import MissingTopics
from gateway.service import main
from runtime.clock import SystemClock
from runtime.health import Health
from runtime.metrics import Metrics
from runtime.process import Process
from runtime.settings import BrokerSettings, GatewaySettings, Settings
from runtime.worker import WORKER_FD
from schemas.topics import events_topic, partition_of
from tests.broker.backend import quiet_log
from tests.broker.log_contents import values
from tests.broker.waiting import eventually
from tests.gateway.conftest import PUBLISHABLE, TRACK, Answer, storefront
from tests.gateway.kafka import Kafka
from tests.gateway.vendor import OVERVIEW, shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.gateway.vendor import Vendor

TOPIC = events_topic("acme")
PARTITIONS = 3
VIEW = b'{"event_type":"view_cart","user_id":"ada"}'
BROKEN = b"{"
HEAD = (
    b"POST %b HTTP/1.1\r\nHost: shop\r\nX-API-Key: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)
SECRET = "tolk_sec_acme"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.service.PATIENCE_SECONDS", 0.0)


@pytest.fixture
def without_spool(vendor: Vendor) -> Settings:
    return Settings(
        broker=BrokerSettings(kind="kafka", partitions=PARTITIONS),
        gateway=GatewaySettings(spool_max_bytes=0, drain_seconds=2),
        storefronts=[shop(vendor.url)],
    )


@pytest.fixture(params=["no spool", "a spool that knows no Kafka"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, without_spool: Settings) -> Settings:
    if request.param == "no spool":
        return without_spool
    with_one = GatewaySettings(spool_path=str(tmp_path / "spool"), drain_seconds=2)
    return without_spool.model_copy(update={"gateway": with_one})


@pytest.fixture
def process() -> Process:
    return Process("gateway", log=quiet_log(), metrics=Metrics(), health=Health(), clock=SystemClock(), drain_seconds=5)


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """Where the gateway listens: on a socket that was handed to it, as to a worker."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv(WORKER_FD, str(os.dup(listener.fileno())))
        where: tuple[str, int] = listener.getsockname()
        return where


@pytest.fixture
async def kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kafka]:
    """One that is away at first."""
    kafka = Kafka(tmp_path / "log", away=True)
    monkeypatch.setattr("gateway.service.open_broker", lambda *_: kafka)
    async with Kafka(tmp_path / "log"):
        yield kafka


@asynccontextmanager
async def serving(settings: Settings, process: Process) -> AsyncIterator[None]:
    """Run the gateway; it has ended well when the block is left."""
    task = asyncio.create_task(main(settings, process))
    yield
    process.stop("the test is over")
    await task


class Shop:
    """One that sends, on a connection that it keeps."""

    def __init__(self, session: aiohttp.ClientSession, address: tuple[str, int]) -> None:
        self._session = session
        self.url = f"http://{address[0]}:{address[1]}"

    async def sends(self, body: bytes = VIEW, key: str = PUBLISHABLE) -> Answer:
        headers = {"X-API-Key": key, "Content-Type": "application/json"}
        async with self._session.post(self.url + TRACK, data=body, headers=headers) as response:
            return Answer(response.status, await response.json(), response.headers.copy())

    async def asks(self) -> int:
        async with self._session.get(self.url + OVERVIEW, headers={"X-API-Key": SECRET}) as response:
            return response.status


@pytest.fixture
async def sender(address: tuple[str, int]) -> AsyncIterator[Shop]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        yield Shop(session, address)


async def ready(process: Process) -> None:
    await eventually(lambda: not process.health.reasons(), "the gateway is ready")


async def test_it_refuses_and_then_accepts(settings: Settings, process: Process, kafka: Kafka, sender: Shop) -> None:
    async with serving(settings, process):
        refused = await sender.sends()
        assert (refused.status, refused.body["code"]) == (503, "NOT_DURABLE")
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.headers["X-Request-Id"]
        assert (await sender.sends(BROKEN)).status == 400
        assert (await sender.sends(key="tolk_pub_else")).status == 401
        assert await sender.asks() == 200, "what is passed through needs no Kafka"
        assert process.health.reasons() == {"process": "starting", "broker": "Kafka cannot be reached: it is away"}
        kafka.away = False
        await ready(process)
        assert [(await sender.sends()).status for _ in range(3)] == [200] * 3
        there = await values(kafka, TOPIC, partition_of(b"ada", PARTITIONS))
        assert there == [VIEW] * 3, "in the partition that is the key's"
    counted = process.metrics.registry.get_sample_value
    labels = {"storefront": "acme", "event_type": "view_cart"}
    assert counted("sluice_gateway_events_total", {**labels, "result": "unavailable"}) == 1
    assert counted("sluice_gateway_events_total", {**labels, "result": "accepted"}) == 3


async def test_a_request_that_came_before_is_refused_though_its_body_ends_later(
    without_spool: Settings, process: Process, kafka: Kafka, sender: Shop, address: tuple[str, int]
) -> None:
    async with serving(without_spool, process):
        assert (await sender.sends()).status == 503
        reader, writer = await asyncio.open_connection(*address)
        writer.write(HEAD % (TRACK.encode(), PUBLISHABLE.encode(), len(VIEW)) + VIEW[:5])
        told = process.metrics.registry.get_sample_value
        await eventually(lambda: told("sluice_gateway_in_flight_bytes"), "it has begun")
        kafka.away = False
        await ready(process)
        writer.write(VIEW[5:])
        assert (await reader.readline()).split()[1] == b"503", "how many partitions there are was not known"
        assert (await sender.sends()).status == 200
        assert await values(kafka, TOPIC) == [VIEW]
        writer.close()
        await writer.wait_closed()


async def test_a_configuration_that_is_read_meanwhile_is_begun_again_with(
    without_spool: Settings, process: Process, kafka: Kafka, sender: Shop, address: tuple[str, int]
) -> None:
    first = asyncio.create_task(main(without_spool, process))
    assert (await sender.sends()).status == 503
    process.make_way()
    await first
    rotated = storefront("acme").model_copy(update={"publishable_keys": [SecretStr("tolk_pub_rotated")]})
    process = process.again()
    async with serving(without_spool.model_copy(update={"storefronts": [rotated]}), process):
        assert (await sender.sends()).status == 401
        assert (await sender.sends(key="tolk_pub_rotated")).status == 503
        kafka.away = False
        await ready(process)
        assert (await sender.sends(key="tolk_pub_rotated")).status == 200
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)


async def test_what_is_wrong_with_kafka_when_it_comes_ends_the_gateway(
    without_spool: Settings, process: Process, kafka: Kafka, sender: Shop
) -> None:
    strict = without_spool.model_copy(update={"broker": BrokerSettings(kind="kafka", create_topics=False)})
    gateway = asyncio.create_task(main(strict, process))
    assert (await sender.sends()).status == 503
    kafka.away = False
    with pytest.raises(MissingTopics):
        await gateway
