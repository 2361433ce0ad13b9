"""A real gateway on a real socket; the log behind it writes down what it is given and acknowledges as told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import orjson
import pytest
import structlog
from pydantic import SecretStr

from broker.interface import Broker, BrokerError, Message, Publisher
from gateway.assembly import Assembly
from gateway.service import listening
from gateway.storage import Storage
from runtime.clock import ManualClock
from runtime.health import Health
from runtime.metrics import Metrics
from runtime.process import Process
from runtime.settings import GatewaySettings, IngestionSettings, Settings, StorefrontSettings
from tests.gateway.vendor import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from broker.interface import TopicDifference
    from broker.spool.spool import Spool
    from gateway.edge import Edge
    from gateway.upstream import Limits
    from schemas.topics import TopicSpec
    from tests.gateway.vendor import Vendor

PARTITIONS = 4
TRACK = "/v1/api/analytics/ecommerce/track"
BATCH = "/v1/api/analytics/ecommerce/batch"
PUBLISHABLE = "tolk_pub_acme"
SECRET = "tolk_sec_acme"


class Published(NamedTuple):
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


class RecordingPublisher(Publisher):
    """Keeps what it is given. `held`: acknowledgements wait; `failure`: what the next calls raise or their futures fail with."""

    def __init__(self) -> None:
        self.published: list[Published] = []
        self.precious: list[bool] = []
        self.refuses: BrokerError | None = None
        self.fails: BrokerError | None = None
        self.held: list[asyncio.Future[None]] | None = None
        self._changed = asyncio.Event()

    def publish(
        self, topic: str, partition: int, messages: Sequence[Message], *, precious: bool = False
    ) -> asyncio.Future[None]:
        self.precious.append(precious)
        if self.refuses is not None:
            raise self.refuses
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.fails is not None:
            future.set_exception(self.fails)
            return future
        self.published += [Published(topic, partition, key, value, dict(headers)) for key, value, headers in messages]
        if self.held is None:
            future.set_result(None)
        else:
            self.held.append(future)
            self._changed.set()
        return future

    async def hold(self, calls: int) -> list[asyncio.Future[None]]:
        """Wait until so many calls wait for their acknowledgement; `held` must be a list."""
        assert self.held is not None
        async with asyncio.timeout(5):
            while len(self.held) < calls:
                self._changed.clear()
                await self._changed.wait()
        return self.held

    def fault(self) -> str | None:
        return None

    async def close(self, timeout: float = 10) -> None:  # noqa: ASYNC109 - the interface's
        pass

    def of(self, topic: str) -> list[Published]:
        return [each for each in self.published if each.topic == topic]


class Topics(Broker):
    """A broker of which the gateway asks nothing but partition counts, and when it is configured anew, whether the topics are there."""

    async def partitions(self, topic: str) -> int:  # noqa: ARG002 - all have as many
        return PARTITIONS

    async def ensure_topics(self, specs: Sequence[TopicSpec], *, create: bool = True) -> list[TopicDifference]:  # noqa: ARG002 - all are there
        return []

    async def _never(self, *_: object, **__: object) -> Any:
        raise AssertionError("the gateway asks for topics only")

    start = close = identity = publisher = transactional = subscribe = log_ranges = committed = members = _never
    read = _never  # type: ignore[assignment] # an iterator elsewhere; never called


async def build(
    settings: Settings,
    process: Process,
    broker: Broker,
    publisher: Publisher,
    limits: Limits | None = None,
    spool: Spool | None = None,
) -> Edge:
    """Return an edge that accepts."""
    assembly = Assembly(settings, process, broker, limits)
    edge = await assembly.edge(lambda: "not connected yet")
    await assembly.store_in(Storage(publisher, {}, spool), edge)
    return edge


def storefront(name: str, **more: Any) -> StorefrontSettings:
    return StorefrontSettings(
        name=name,
        publishable_keys=[SecretStr(f"tolk_pub_{name}")],
        secret_keys=[SecretStr(f"tolk_sec_{name}")],
        ingestion=IngestionSettings(url="http://127.0.0.1:1", api_key=SecretStr("tolk_sec_upstream")),
        **more,
    )


class Gateway:
    """A running gateway, and what a test asks of it."""

    def __init__(
        self, edge: Edge, url: str, publisher: RecordingPublisher, process: Process, session: aiohttp.ClientSession
    ) -> None:
        self.edge = edge
        self.url = url
        self.publisher = publisher
        self.process = process
        self.session = session

    async def post(
        self, path: str, body: Any, *, key: str | None = PUBLISHABLE, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a body: bytes as they are, anything else as JSON."""
        sent = {"Content-Type": "application/json"} | ({"X-API-Key": key} if key else {}) | (headers or {})
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        async with self.session.post(self.url + path, headers=sent, data=data) as response:
            return Answer(response.status, await response.json(), response.headers.copy())

    def metric(self, name: str, **labels: str) -> float:
        return self.process.metrics.registry.get_sample_value(name, labels) or 0.0


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Any


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Gateway]]]:
    """A function that starts a gateway with the given storefronts and settings."""
    contexts: list[Any] = []

    async def starter(*storefronts: StorefrontSettings, limits: Limits | None = None, **gateway: Any) -> Gateway:
        settings = Settings(
            storefronts=list(storefronts or (storefront("acme"),)),
            gateway=GatewaySettings(port=0, drain_seconds=2, **gateway),
        )
        process = Process(
            "gateway",
            log=structlog.get_logger(),
            metrics=Metrics(),
            health=Health(),
            clock=ManualClock(1_800_000_000.123),
            drain_seconds=2,
        )
        publisher = RecordingPublisher()
        edge = await build(settings, process, Topics(), publisher, limits)
        context = listening(edge, settings, process)
        port = await context.__aenter__()
        session = aiohttp.ClientSession(auto_decompress=True)
        contexts.append((context, session))
        return Gateway(edge, f"http://127.0.0.1:{port}", publisher, process, session)

    yield starter
    for context, session in contexts:
        await session.close()
        await context.__aexit__(None, None, None)


@pytest.fixture
async def gateway(start: Callable[..., Awaitable[Gateway]]) -> Gateway:
    """A gateway with one storefront, acme."""
    return await start()


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    """An upstream for the storefronts."""
    async with serving() as vendor:
        yield vendor
