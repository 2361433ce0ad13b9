"""Where a gateway keeps what it accepts when Kafka is not there, not yet, or not the one that the spool is for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from broker.spool.absent import Spooling
from broker.spool.memory import ForAnotherKafka
from broker.spool.owner import SpoolInUse
from broker.spool.publisher import SpooledPublisher
from broker.startup import MissingTopics
from gateway import storage as storages
from gateway.storage import Storage, spool_owned
from runtime.clock import SystemClock
from runtime.health import Health
from runtime.metrics import Metrics
from runtime.process import Process
from runtime.settings import BrokerSettings, GatewaySettings, Settings
from schemas.topics import REJECTED, events_topic
from tests.broker.backend import quiet_log
from tests.broker.log_contents import numbered, values
from tests.broker.waiting import DEADLINE, eventually
from tests.gateway.conftest import storefront
from tests.gateway.kafka import Kafka

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from broker.interface import Broker

TOPIC = events_topic("acme")
PARTITIONS = 3


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        broker=BrokerSettings(kind="kafka", partitions=PARTITIONS),
        gateway=GatewaySettings(spool_path=str(tmp_path / "spool")),
        storefronts=[storefront("acme")],
    )


@pytest.fixture
def process() -> Process:
    return Process("gateway", log=quiet_log(), metrics=Metrics(), health=Health(), clock=SystemClock(), drain_seconds=5)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.storage.PATIENCE_SECONDS", 0.2)


@asynccontextmanager
async def opened(settings: Settings, process: Process, broker: Broker) -> AsyncIterator[Storage | None]:
    """Open the storage and wait for it."""
    async with storages.opened(settings, process, broker) as opening:
        yield await opening.storage


async def joined(storage: Storage) -> None:
    """Wait until what comes goes to Kafka itself; on a busy machine that takes longer than a gateway's patience with Kafka."""
    publisher = storage.publisher
    assert isinstance(publisher, SpooledPublisher)
    await eventually(lambda: not isinstance(publisher._publisher, Spooling), "Kafka is joined")


async def meet(settings: Settings, process: Process, path: Path) -> None:
    """Let the spool meet Kafka, as a gateway's first start does."""
    async with Kafka(path) as kafka, opened(settings, process.again(), kafka) as storage:
        assert storage is not None
        assert storage.partitions == {TOPIC: PARTITIONS, REJECTED: PARTITIONS}
        await joined(storage)


async def test_without_knowing_kafka_it_is_waited_for(settings: Settings, process: Process, tmp_path: Path) -> None:
    kafka = Kafka(tmp_path / "log", away=True)
    entered = asyncio.Event()

    async def serve() -> None:
        async with opened(settings, process, kafka) as storage:
            assert storage is not None
            await joined(storage)
            await storage.publisher.publish(TOPIC, 0, numbered(0, 1))
            entered.set()

    serving = asyncio.create_task(serve())
    await eventually(lambda: "it is away" in process.health.reasons().get("broker", ""), "readiness names the broker")
    assert not entered.is_set()
    kafka.away = False
    await serving
    assert entered.is_set()
    assert await values(kafka, TOPIC) == [b"0"]
    await kafka.close()


async def test_who_is_asked_to_stop_waits_no_longer(settings: Settings, process: Process, tmp_path: Path) -> None:
    asyncio.get_running_loop().call_later(0.1, process.stop, "enough")
    async with asyncio.timeout(DEADLINE), opened(settings, process, Kafka(tmp_path / "log", away=True)) as storage:
        assert storage is None


async def test_what_a_spool_remembers_is_enough_to_begin_with(
    settings: Settings, process: Process, tmp_path: Path
) -> None:
    await meet(settings, process, tmp_path / "log")
    kafka = Kafka(tmp_path / "log", away=True)
    async with opened(settings, process, kafka) as storage:
        assert storage is not None
        assert storage.partitions == {TOPIC: PARTITIONS, REJECTED: PARTITIONS}
        assert storage.publisher.fault() is None, "it takes what comes"
        for number in range(3):
            await storage.publisher.publish(TOPIC, 1, numbered(number, 1))
        assert storage.spool is not None
        assert storage.spool.state(TOPIC, 1)
        assert not storage.spool.state(TOPIC, 0)
        told = process.metrics.registry.get_sample_value
        await eventually(lambda: told("sluice_spool_records", {"storefront": "acme"}) == 3, "the records told")
        kafka.away = False
        spool = storage.spool
        await eventually(lambda: not spool.state(TOPIC, 1), "the spool drained")
        await storage.publisher.publish(TOPIC, 1, numbered(3, 1))
        await eventually(lambda: process.health.reasons().keys() == {"process"}, "nothing wrong with the broker")
    assert await values(kafka, TOPIC, 1) == [b"0", b"1", b"2", b"3"]
    await kafka.close()


async def test_a_storefront_that_is_new_waits_for_its_topic(
    settings: Settings, process: Process, tmp_path: Path
) -> None:
    await meet(settings, process, tmp_path / "log")
    more = settings.model_copy(update={"storefronts": [storefront("acme"), storefront("beta")]})
    asyncio.get_running_loop().call_later(0.5, process.stop, "enough")
    async with opened(more, process, Kafka(tmp_path / "log", away=True)) as storage:
        assert storage is None, "how many partitions it has cannot be guessed"


async def test_a_spool_for_another_kafka_is_not_drained_into_this_one(
    settings: Settings, process: Process, tmp_path: Path
) -> None:
    await meet(settings, process, tmp_path / "log")
    async with opened(settings, process.again(), Kafka(tmp_path / "log", away=True)) as storage:
        assert storage is not None
        await storage.publisher.publish(TOPIC, 0, numbered(0, 2))
    wrong = Kafka(tmp_path / "other", name="kafka-b")
    cure = r"holds 2 records for the Kafka whose cluster id is kafka-a, .* leads to kafka-b: .* gateway\.spool_path to"
    with pytest.raises(ForAnotherKafka, match=cure):
        async with opened(settings, process, wrong):
            # It may begin before it knows which Kafka this is; it is asked to stop as soon as it does.
            await asyncio.wait_for(process.stopping.wait(), DEADLINE)
    assert await values(wrong, TOPIC) == []
    await wrong.close()
    async with Kafka(tmp_path / "log") as right, opened(settings, process.again(), right) as storage:
        assert storage is not None
        assert storage.spool is not None
        spool = storage.spool
        await eventually(lambda: not spool.state(TOPIC, 0), "the spool drained")
        assert await values(right, TOPIC) == [b"0", b"1"]


async def test_another_kafka_that_comes_later_ends_the_gateway(
    settings: Settings, process: Process, tmp_path: Path
) -> None:
    await meet(settings, process, tmp_path / "log")
    wrong = Kafka(tmp_path / "other", away=True, name="kafka-b")

    async def serve() -> None:
        async with opened(settings, process, wrong) as storage:
            assert storage is not None
            await storage.publisher.publish(TOPIC, 0, numbered(0, 1))
            wrong.away = False
            await asyncio.wait_for(process.stopping.wait(), DEADLINE)

    with pytest.raises(ForAnotherKafka):
        await serve()
    assert process.ended, "for good"
    assert await values(wrong, TOPIC) == []
    await wrong.close()


async def test_an_empty_spool_may_serve_another_kafka(settings: Settings, process: Process, tmp_path: Path) -> None:
    await meet(settings, process, tmp_path / "log")
    for name in ("kafka-b", "kafka-a"):
        kafka = Kafka(tmp_path / name, name=name)
        async with opened(settings, process.again(), kafka) as storage:
            assert storage is not None
            await joined(storage)
            await storage.publisher.publish(TOPIC, 0, numbered(0, 1))
        assert await values(kafka, TOPIC) == [b"0"]
        await kafka.close()


async def test_a_topic_that_must_not_be_created_is_missed(settings: Settings, process: Process, tmp_path: Path) -> None:
    strict = settings.model_copy(update={"broker": BrokerSettings(kind="kafka", create_topics=False)})
    kafka = Kafka(tmp_path / "log")
    with pytest.raises(MissingTopics):
        async with opened(strict, process, kafka):
            pass
    await kafka.close()


async def test_a_spool_is_one_gateways(settings: Settings) -> None:
    async with spool_owned(settings) as owner:
        assert owner is not None
        with pytest.raises(SpoolInUse, match=r"is another gateway's \(process \d+, .*set gateway\.spool_path to"):
            async with spool_owned(settings):
                pass
    async with spool_owned(settings):
        pass
    embedded = settings.model_copy(update={"broker": BrokerSettings()})
    async with spool_owned(embedded) as owner:
        assert owner is None
