"""Kafka alone: three brokers, one of which dies. What was acknowledged is on two (G1), and only who asked for three waits."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from broker.interface import NotAcknowledged, UnknownTopic
from runtime.settings import BrokerSettings
from tests.broker.callers import Callers
from tests.broker.log_contents import contents, message
from tests.broker.waiting import DEADLINE, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.interface import Broker, Publisher
    from tests.broker.backend import Backend
    from tests.kafka.cluster import KafkaCluster

pytestmark = pytest.mark.kafka


@pytest.fixture
def three(start_kafka: Callable[..., KafkaCluster]) -> KafkaCluster:
    """Three brokers of the test's own."""
    return start_kafka(3)


@pytest.fixture
def broker_settings(three: KafkaCluster) -> BrokerSettings:
    return BrokerSettings(kind="kafka", bootstrap_servers=three.bootstrap_servers)


async def create(bootstrap_servers: str, topic: str, **settings: str) -> None:
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    wanted = {name.replace("_", "."): value for name, value in settings.items()}
    await admin.create_topics([NewTopic(topic, 1, 3, topic_configs=wanted)])
    await admin.close()


async def partitions(broker: Broker, topic: str) -> int:
    """Return how many partitions a new topic has, once all brokers have heard of it: any of them may be asked."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            return await broker.partitions(topic)
        except UnknownTopic:
            assert time.monotonic() < deadline, f"{topic} is not heard of"


async def until_in_doubt(publisher: Publisher, topic: str) -> None:
    """Publish until Kafka has noticed that replicas are missing."""
    while True:
        await publisher.publish(topic, 0, [message(b"x")])


async def test_one_of_three_brokers_dies(backend: Backend, three: KafkaCluster) -> None:
    broker = await backend.open()
    spec = backend.spec(6)
    assert await broker.ensure_topics([spec]) == []
    weak, strict = backend.spec(), backend.spec()
    await create(three.bootstrap_servers, weak.name, min_insync_replicas="1", unclean_leader_election_enable="true")
    await create(three.bootstrap_servers, strict.name, min_insync_replicas="3")
    found = {difference.setting: difference.found for difference in await broker.ensure_topics([weak])}
    assert (found["min.insync.replicas"], found["unclean.leader.election.enable"]) == ("1", "true")
    assert await partitions(broker, strict.name) == 1

    healthy = await backend.topic(broker, 6)
    publisher = await broker.publisher()
    impatient = await broker.publisher(ack_timeout=1)
    await impatient.publish(strict.name, 0, [message(b"all three")])
    callers = Callers(publisher, spec.name, 6).start()
    await callers.until_more(50)
    await asyncio.to_thread(three.kill, 2)
    await callers.until_more(50)
    assert publisher.fault() is None
    async with asyncio.timeout(30):
        with pytest.raises(NotAcknowledged, match=strict.name):
            await until_in_doubt(impatient, strict.name)
    others = Callers(impatient, healthy, 6, each=1).start()
    # Short of replicas, a batch is retried by aiokafka for ever, and slows down everything on the same connections: all
    # others leave it alone with its producer.
    producers = impatient._producers  # type: ignore[attr-defined]  # KafkaPublisher's own
    await eventually(lambda: producers._current.number > 1, "a new producer for the others")
    await others.until_more(20)
    await others.stop()
    await callers.stop()
    callers.check(await contents(broker, spec.name))
    others.check(await contents(broker, others.topic))
    assert not callers.unavailable
    await impatient.close(0.1)
