"""Kafka alone: its broker is killed, hangs, stays away. Nothing acknowledged is lost, nobody is told an untruth."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from broker.factory import open_broker
from broker.interface import NotAcknowledged, Unavailable
from broker.kafka import publisher as publisher_module
from broker.spool.flags import OPEN, SPOOLED
from broker.spool.publisher import SpooledPublisher
from broker.spool.spool import Spool
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from runtime.settings import BrokerSettings
from tests.broker.backend import quiet_log
from tests.broker.callers import Callers
from tests.broker.log_contents import contents, message, values
from tests.broker.member import Member
from tests.broker.waiting import eventually
from tests.kafka.cluster import KafkaCluster
from tests.kafka.fixtures import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from broker.interface import Broker
    from tests.broker.backend import Backend

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def own_kafka(request: pytest.FixtureRequest) -> Iterator[KafkaCluster]:
    """A Kafka that only these tests use."""
    with running(KafkaCluster(name="outages"), request) as cluster:
        yield cluster


@pytest.fixture
def kafka_cluster(own_kafka: KafkaCluster) -> KafkaCluster:
    """The same, on its feet again after whatever the test before did to it."""
    own_kafka.heal()
    return own_kafka


@pytest.fixture
def broker_settings(kafka_cluster: KafkaCluster) -> BrokerSettings:
    return BrokerSettings(kind="kafka", bootstrap_servers=kafka_cluster.bootstrap_servers, replication_factor=1)


async def test_a_broker_that_hangs_is_told_from_one_that_never_got_it(
    backend: Backend, broker: Broker, kafka_cluster: KafkaCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds in ("_PROBE_SECONDS", "_ANSWER_SECONDS"):
        monkeypatch.setattr(publisher_module, seconds, 0.3)
    topic = await backend.topic(broker, 2)
    idle = await broker.publisher()
    publisher = await broker.publisher(ack_timeout=1.5)
    callers = Callers(publisher, topic, 2).start()
    await callers.until_more(20)
    await asyncio.to_thread(kafka_cluster.pause)
    handed = publisher.publish(topic, 0, [message(b"handed over")])
    await asyncio.sleep(0.3)
    waiting = publisher.publish(topic, 0, [message(b"waited in vain")])
    await eventually(lambda: callers.in_doubt, "callers in doubt")
    with pytest.raises((NotAcknowledged, Unavailable), match=r"within 1\.5 s"):
        await handed
    with pytest.raises(Unavailable, match=r"could not be handed to Kafka within 1\.5 s"):
        await waiting
    await eventually(idle.fault, "a publisher that is idle to notice as well")
    assert "has not answered for" in (idle.fault() or "")
    await asyncio.to_thread(kafka_cluster.resume)
    await callers.until_more(20)
    await callers.stop()
    await eventually(lambda: idle.fault() is None, "the idle publisher to notice the end of it")
    log = await contents(broker, topic)
    callers.check(log)
    assert b"waited in vain" not in {record.value for record in log}


async def test_a_killed_broker_loses_and_mixes_up_nothing(
    backend: Backend, broker: Broker, kafka_cluster: KafkaCluster
) -> None:
    topic, group = await backend.topic(broker, 4), backend.group()
    publisher = await broker.publisher()
    member = await Member().start(broker, group, topic)
    callers = Callers(publisher, topic, 4).start()
    await callers.until_more(100)
    await asyncio.to_thread(kafka_cluster.kill)
    await eventually(publisher.fault, "a reason why nothing is acknowledged")
    assert "no acknowledgement from Kafka at 127.0.0.1" in (publisher.fault() or "")
    await asyncio.to_thread(kafka_cluster.restart)
    await callers.until_more(100)
    assert publisher.fault() is None
    await callers.stop()
    callers.check(await contents(broker, topic))
    # The group came through as well: one member, everything read at least once and first in order.
    await member.until_read(callers.count())
    callers.check([record for records in member.records.values() for record in records])
    await member.commit_read(list(member.records))
    await member.stop()


@pytest.mark.parametrize("how", ["hanging", "killed"])
async def test_everything_closes_in_time_without_a_broker(
    backend: Backend, broker: Broker, kafka_cluster: KafkaCluster, how: str
) -> None:
    topic = await backend.topic(broker, 2)
    publisher = await broker.publisher()
    transactional = await broker.transactional(backend.group())
    member = await Member().start(broker, backend.group(), topic)
    await member.until_owned(2)
    await publisher.publish(topic, 0, [message(b"x")])
    await asyncio.to_thread(kafka_cluster.kill if how == "killed" else kafka_cluster.pause)
    # More than sockets buffer, so that it does not all leave this process.
    pending = [publisher.publish(topic, n % 2, [message(b"%d" % n * 500_000)]) for n in range(40)]
    await member.stop_polling()
    began = time.monotonic()
    await asyncio.gather(publisher.close(1), transactional.close(), member.subscription.close())
    await broker.close()
    assert time.monotonic() - began < 12
    assert {type(future.exception()) for future in pending} == {NotAcknowledged}


async def test_with_a_spool_every_call_is_acknowledged_while_kafka_is_away_and_order_holds(
    backend: Backend, broker: Broker, kafka_cluster: KafkaCluster, tmp_path: Path
) -> None:
    topic = await backend.topic(broker, 2)
    metrics = Metrics()
    spool = Spool(str(tmp_path / "spool"), 1 << 30, metrics, quiet_log(), SystemClock())
    await spool.start({topic: 2})
    await spool.drain_into(await broker.publisher())
    publisher = SpooledPublisher(await broker.publisher(relief=spool), spool)
    callers = Callers(publisher, topic, 2).start()
    await callers.until_more(100)
    await asyncio.to_thread(kafka_cluster.pause)
    await eventually(lambda: spool.state(topic, 0) == spool.state(topic, 1) == SPOOLED, "both lanes spooled")
    assert publisher.fault() is None, "it takes what comes"
    await callers.until_more(500)
    await asyncio.to_thread(kafka_cluster.resume)
    await eventually(lambda: spool.state(topic, 0) == spool.state(topic, 1) == OPEN, "both lanes drained")
    await callers.until_more(100)
    await callers.stop()
    await publisher.close()
    await spool.close()
    assert not callers.in_doubt
    assert not callers.unavailable
    callers.check(await contents(broker, topic))


async def test_a_batch_takes_whoever_comes_until_its_connection_is_free(
    backend: Backend, kafka_cluster: KafkaCluster
) -> None:
    metrics = Metrics()

    def batches() -> float:
        return metrics.registry.get_sample_value("sluice_broker_append_seconds_count") or 0

    async with open_broker(backend.settings, metrics, quiet_log(), SystemClock()) as broker:
        topic = await backend.topic(broker, 2)
        publisher = await broker.publisher()
        await asyncio.gather(*(publisher.publish(topic, number, [message(b"first")]) for number in range(2)))
        before = batches()
        await asyncio.to_thread(kafka_cluster.pause)
        try:
            futures = [publisher.publish(topic, 0, [message(b"on its way")])]
            await asyncio.sleep(0.2)
            for number in range(20):
                futures.append(publisher.publish(topic, 1, [message(b"%d" % number)]))
                await asyncio.sleep(0.01)
        finally:
            await asyncio.to_thread(kafka_cluster.resume)
        await asyncio.gather(*futures)
        assert batches() == before + 2
        assert await values(broker, topic, 1) == [b"first", *(b"%d" % number for number in range(20))]
