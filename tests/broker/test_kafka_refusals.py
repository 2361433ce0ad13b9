"""Kafka alone: what the broker refuses, or takes no longer, concerns one topic; all others go on."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from broker.interface import NotAcknowledged, RecordTooLarge, Unavailable, UnknownTopic
from broker.kafka import producers
from runtime.settings import BrokerSettings
from schemas.topics import MIB
from tests.broker.callers import Callers
from tests.broker.log_contents import contents, message, values

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from broker.interface import Broker, Publisher
    from tests.broker.backend import Backend
    from tests.kafka.fixtures import RunningKafka

pytestmark = pytest.mark.kafka


@pytest.fixture
def broker_settings(kafka: RunningKafka) -> BrokerSettings:
    """The Kafka that all tests share."""
    return BrokerSettings(kind="kafka", bootstrap_servers=kafka.bootstrap_servers, replication_factor=1)


@pytest.fixture
async def operator(kafka: RunningKafka) -> AsyncIterator[Any]:
    """Somebody who changes topics behind our back."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    yield admin
    await admin.close()


async def alter(operator: Any, topic: str, **settings: str) -> None:
    """Replace the settings of a topic, and wait until the broker has them."""
    wanted = {name.replace("_", "."): value for name, value in settings.items()}
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, wanted)
    await operator.alter_configs([resource])
    async with asyncio.timeout(20):
        while True:
            (response,) = await operator.describe_configs([resource])
            if {entry[0]: entry[1] for entry in response.resources[0][4]} == wanted:
                return
            await asyncio.sleep(0.01)


async def test_a_record_just_under_the_limit_that_nothing_compresses_gets_through(
    backend: Backend, broker: Broker
) -> None:
    topic = await backend.topic(broker)
    publisher = await broker.publisher()
    large = os.urandom(2 * MIB - 200)
    await asyncio.gather(
        *(publisher.publish(topic, 0, [message(value)]) for value in (b"before", large, b"after", large, b"last"))
    )
    assert await values(broker, topic) == [b"before", large, b"after", large, b"last"]
    with pytest.raises(RecordTooLarge, match=topic):
        _ = publisher.publish(topic, 0, [message(large + bytes(200))])
    await publisher.publish(topic, 0, [message(b"goes on")])


async def test_a_refused_partition_rests_alone(backend: Backend, broker: Broker) -> None:
    """A compacted topic takes no record without a key: Kafka refuses the batch, and its producer's numbers have a gap."""
    compacted = backend.spec(1, cleanup="compact", prefix="metrics.test")
    await broker.ensure_topics([compacted])
    topic = await backend.topic(broker, 2)
    publisher = await broker.publisher()
    callers = Callers(publisher, topic, 2).start()
    await callers.until_more(10)
    for _ in range(2):
        with pytest.raises((Unavailable, NotAcknowledged), match=compacted.name):
            await publisher.publish(compacted.name, 0, [message(b"no key", None)])
    # While the partition rests its callers hear so at once, and then it is tried again.
    began = time.monotonic()
    with pytest.raises((Unavailable, NotAcknowledged), match=compacted.name):
        await publisher.publish(compacted.name, 0, [message(b"too early")])
    assert time.monotonic() - began < 0.1
    await answered(publisher, compacted.name, b"with a key")
    await callers.until_more(10)
    assert publisher.fault() is None
    await callers.stop()
    assert not callers.unavailable
    assert not callers.in_doubt
    callers.check(await contents(broker, topic))
    assert await values(broker, compacted.name) == [b"with a key"]


async def test_a_limit_that_was_lowered_refuses_only_what_is_larger(
    backend: Backend, broker: Broker, operator: Any
) -> None:
    topic = await backend.topic(broker)
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, [message(b"first")])
    await alter(operator, topic, max_message_bytes="5000")
    small = [os.urandom(3_000) for _ in range(4)]
    large = os.urandom(6_000)
    pending = [publisher.publish(topic, 0, [message(value)]) for value in (*small[:2], large, *small[2:])]
    outcomes = await asyncio.gather(*pending, return_exceptions=True)
    assert isinstance(outcomes[2], RecordTooLarge)
    assert [outcomes[n] for n in (0, 1, 3, 4)] == [None] * 4
    assert await values(broker, topic) == [b"first", *small]
    with pytest.raises(RecordTooLarge):
        await publisher.publish(topic, 0, [message(large)])


async def answered(publisher: Publisher, topic: str, value: bytes) -> None:
    """Publish, again and again, until Kafka takes it or says that it never will."""
    async with asyncio.timeout(20):
        while True:
            try:
                await publisher.publish(topic, 0, [message(value)])
            except (NotAcknowledged, Unavailable):
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_topic_that_is_deleted_becomes_unknown_and_holds_up_no_other(
    backend: Backend, broker: Broker, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long aiokafka waits for a topic without a leader.
    monkeypatch.setattr(producers, "REQUEST_TIMEOUT_MS", 1_500)
    doomed, topic = await backend.topic(broker), await backend.topic(broker)
    publisher = await broker.publisher(ack_timeout=1)
    await publisher.publish(doomed, 0, [message(b"x")])
    await operator.delete_topics([doomed])
    callers = Callers(publisher, topic, 1).start()
    with pytest.raises(UnknownTopic, match=doomed):
        await answered(publisher, doomed, b"y")
    await callers.until_more(10)
    await callers.stop()
    assert not callers.in_doubt
    assert not callers.unavailable


async def test_a_sender_that_died_is_replaced(backend: Backend, broker: Broker) -> None:
    """Whatever it is that ends aiokafka's own task: its batches fail, what is still wanted is handed to a new producer."""
    topic = await backend.topic(broker, 2)
    publisher = await broker.publisher()
    callers = Callers(publisher, topic, 2).start()
    await callers.until_more(10)
    current: Any = publisher._producers._current.producer  # type: ignore[attr-defined]  # KafkaPublisher's own

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    current._message_accumulator.drain_by_nodes = broken
    await callers.until_more(50)
    await callers.stop()
    assert not callers.unavailable
    callers.check(await contents(broker, topic))
    assert publisher._producers._current.producer is not current  # type: ignore[attr-defined]  # as above
    assert publisher.fault() is None
