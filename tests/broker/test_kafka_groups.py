"""Kafka alone: groups on many topics, slow revocations, positions that the log leaves behind, consumers that break."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from aiokafka import TopicPartition as ClientPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from structlog.testing import capture_logs

from broker.factory import open_broker
from broker.interface import Commit, Fenced, LogRange, TopicPartition, Unavailable
from broker.kafka import rebalance
from broker.kafka import subscription as subscription_module
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from runtime.settings import BrokerSettings
from schemas.topics import MIB
from tests.broker.log_contents import message, numbered, values
from tests.broker.member import Member, one_each
from tests.broker.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from broker.interface import Broker
    from tests.broker.backend import Backend
    from tests.kafka.fixtures import RunningKafka

pytestmark = pytest.mark.kafka


class Shifted(SystemClock):
    """The system's clock, but for a part of monotonic time that nobody wants to wait for."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def broker_settings(kafka: RunningKafka) -> BrokerSettings:
    """The Kafka that all tests share."""
    return BrokerSettings(kind="kafka", bootstrap_servers=kafka.bootstrap_servers, replication_factor=1)


async def test_many_topics_are_shared_and_read_whole(backend: Backend, broker: Broker) -> None:
    specs = [backend.spec(2) for _ in range(35)]
    assert await broker.ensure_topics(specs) == []
    group = backend.group()
    publisher = await broker.publisher()
    parts = [(spec.name, n) for spec in specs for n in range(2)]
    await asyncio.gather(*(publisher.publish(topic, n, numbered(0, 100)) for topic, n in parts))
    a = await Member("a").start(broker, group, *(spec.name for spec in specs))
    a.on_revoked = a.commit_read
    b = await Member("b").start(await backend.open(), group, *(spec.name for spec in specs))
    b.on_revoked = b.commit_read
    await eventually(lambda: len(a.owned) == len(b.owned) == 35, "half of the partitions each")
    assert one_each([a, b], 70)
    await eventually(lambda: a.total() + b.total() == 7_000, "every record once")
    for topic, n in parts:
        place = TopicPartition(topic, n)
        assert a.values(place) + b.values(place) == [b"%d" % value for value in range(100)]
    await a.stop()
    await b.stop()
    standing = await broker.committed(group, [spec.name for spec in specs])
    assert set(standing.values()) == {Commit(100, "")}


async def test_records_larger_than_what_is_fetched_at_once_come_through(backend: Backend, broker: Broker) -> None:
    """With 64 partitions each gets half a MiB of what is fetched ahead, less than one of these records."""
    spec = backend.spec(64)
    await broker.ensure_topics([spec])
    publisher = await broker.publisher()
    large = {n: os.urandom(2 * MIB - 1_000) for n in (3, 20, 21, 63)}
    for n, value in large.items():
        await publisher.publish(spec.name, n, [message(b"before"), message(value), message(b"after")])
    member = await Member().start(broker, backend.group(), spec.name)
    await member.until_read(12)
    for n, value in large.items():
        assert member.values(TopicPartition(spec.name, n)) == [b"before", value, b"after"]
    await member.stop()


async def test_a_slow_revocation_keeps_its_time_and_everybody_elses(backend: Backend, broker: Broker) -> None:
    """The drain of a forwarder takes seconds: the group waits for its commit, and a poll returns in time all the same."""
    topic, group = await backend.topic(broker, 2), backend.group()
    publisher = await broker.publisher()
    for n in range(2):
        await publisher.publish(topic, n, numbered(0, 10))
    slow = Member("slow")

    async def drain(partitions: Collection[TopicPartition]) -> None:
        await asyncio.sleep(2.5)
        await slow.commit_read(partitions)

    slow.on_revoked = drain
    await slow.start(broker, group, topic)
    await slow.until_read(20)
    newcomer = Member("newcomer")
    subscription = await (await backend.open()).subscribe(group, [topic], newcomer)
    while not newcomer.owned:
        began = time.monotonic()
        assert not await subscription.poll(0.2)
        assert time.monotonic() - began < 1.5
    (gained,) = newcomer.owned.values()
    assert gained.commit == Commit(10, "")
    await slow.until_owned(1)
    slow.on_revoked = None
    await slow.stop()
    await subscription.close()


async def test_a_rebalance_is_waited_for_however_old_the_assignment_and_told_when_it_takes_too_long(
    backend: Backend, broker: Broker
) -> None:
    """Whoever takes the time since its last assignment for the time without one leaves in every rebalance, and joins anew."""
    clock, drained = Shifted(), asyncio.Event()
    topic, group = await backend.topic(broker, 3), backend.group()
    publisher = await broker.publisher()
    await asyncio.gather(*(publisher.publish(topic, n, numbered(0, 1)) for n in range(3)))
    old, slow, newcomer = Member("old"), Member("slow"), Member("newcomer")
    complaints = set[str]()

    async def drain(_: Collection[TopicPartition]) -> None:
        await drained.wait()

    async def poll_until(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                try:
                    for partition, records in (await subscription.poll(0.05)).items():
                        old.records[partition].extend(records)
                except Unavailable as error:
                    complaints.add(str(error))

    with capture_logs() as lines:
        other = open_broker(backend.settings, Metrics(), structlog.get_logger(), clock)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(other)
            stack.callback(drained.set)
            subscription = await other.subscribe(group, [topic], old)
            await poll_until(lambda: old.total() == 3)
            await slow.start(broker, group, topic)
            await poll_until(lambda: one_each([slow, old], 3) and old.total() > 3)
            slow.on_revoked = drain
            clock.ahead = 1_000.0
            await newcomer.start(await backend.open(), group, topic)
            await poll_until(lambda: not old.owned)
            for _ in range(3):
                await subscription.poll(0.05)
            clock.ahead += rebalance.OVERDUE_SECONDS + 1
            assert complaints == set()
            await poll_until(lambda: complaints)
            drained.set()
            await poll_until(lambda: one_each([slow, old, newcomer], 3))
            await subscription.close()
            await newcomer.stop()
            await slow.stop()
    assert complaints == {f"group {group} gave no assignment for more than 25 s"}
    assert "joining the group anew" not in {line["event"] for line in lines}


async def test_who_waits_for_its_positions_stays_a_member(
    backend: Backend, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition whose leader is away tells nothing of its log, for longer than a session: that must not start a rebalance."""
    monkeypatch.setattr(subscription_module, "_SESSION_SECONDS", 1.5)
    look_up = rebalance.positions
    asked = 0

    async def away_at_first(*question: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked <= 3:
            await asyncio.sleep(0.25)
            raise Unavailable("its leader is away")
        return await look_up(*question)

    monkeypatch.setattr(rebalance, "positions", away_at_first)
    topic, group = await backend.topic(broker), backend.group()
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, numbered(0, 10))
    member = Member()
    subscription = await broker.subscribe(group, [topic], member)
    complaints, values = 0, list[bytes | None]()
    async with asyncio.timeout(30):
        while len(values) < 10:
            try:
                found = await subscription.poll(0.1)
            except Unavailable:
                complaints += 1
            else:
                values += [record.value for records in found.values() for record in records]
    assert complaints
    assert values == [b"%d" % n for n in range(10)]
    assert subscription.held_until() > time.monotonic()
    await subscription.commit({TopicPartition(topic, 0): Commit(10, "")})
    assert [step.kind for step in member.history] == ["assigned"]
    await subscription.close()


async def test_who_drains_longer_than_the_group_waits_cannot_commit(
    backend: Backend, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebalance, "_REVOKE_SECONDS", 0.2)
    topic, group = await backend.topic(broker, 2), backend.group()
    publisher = await broker.publisher()
    for n in range(2):
        await publisher.publish(topic, n, numbered(0, 10))
    slow, fenced = Member("slow"), asyncio.Event()

    async def drain(partitions: Collection[TopicPartition]) -> None:
        await newcomer.until_owned(1)
        assert slow.subscription.held_until() < time.monotonic()
        with pytest.raises(Fenced):
            await slow.commit_read(partitions)
        fenced.set()

    slow.on_revoked = drain
    await slow.start(broker, group, topic)
    await slow.until_read(20)
    newcomer = await Member("newcomer").start(await backend.open(), group, topic)
    async with asyncio.timeout(20):
        await fenced.wait()
    await slow.until_owned(1)
    assert set((await broker.committed(group, [topic])).values()) == {None}
    slow.on_revoked = None
    await slow.stop()
    await newcomer.stop()


async def test_who_was_thrown_out_unnoticed_cannot_commit(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker), backend.group()
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, numbered(0, 10))
    member = await Member().start(broker, group, topic)
    await member.until_read(10)
    consumer: Any = member.subscription._consumer  # type: ignore[attr-defined]  # KafkaSubscription's own
    # As after a stop of the process that outlasted its session: Kafka forgot the member, a heartbeat hears of it.
    await consumer._coordinator._maybe_leave_group()
    assert member.subscription.held_until() < time.monotonic()
    with pytest.raises(Fenced):
        await member.commit_read(list(member.owned))
    await eventually(lambda: len(member.history) == 3, "the partition is revoked and assigned again")
    await eventually(lambda: member.subscription.held_until() > time.monotonic(), "it is held again")
    await member.until_read(20)
    await member.commit_read(list(member.owned))
    assert (await broker.committed(group, [topic]))[TopicPartition(topic, 0)] == Commit(10, "")
    await member.stop()


async def test_a_member_with_a_name_of_its_own_restarts_unnoticed(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker, 2), backend.group()
    publisher = await broker.publisher()
    for n in range(2):
        await publisher.publish(topic, n, numbered(0, 10))
    restarted, other = Member("restarted"), Member("other")
    for member in (restarted, other):
        member.on_revoked = member.commit_read
    await restarted.start(broker, group, topic, instance="forwarder-0")
    await restarted.until_owned(2)
    await other.start(await backend.open(), group, topic, instance="forwarder-1")
    await eventually(lambda: len(restarted.owned) == len(other.owned) == 1, "a partition each")
    await eventually(lambda: restarted.total() + other.total() == 20, "every record once")
    (mine,) = restarted.owned
    before = list(other.history)
    await restarted.stop()
    await publisher.publish(topic, mine.partition, numbered(10, 5))
    again = await Member("again").start(await backend.open(), group, topic, instance="forwarder-0")
    await again.until_read(5)
    assert again.values(mine) == [b"%d" % n for n in range(10, 15)]
    await again.commit_read([mine])
    await other.until_polled(3)
    assert other.history == before, "the other one noticed nothing"
    assert again.subscription.held_until() > time.monotonic() + 30
    await again.stop()
    await other.stop()


async def test_of_two_with_one_name_the_older_can_commit_no_more(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker), backend.group()
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, numbered(0, 10))
    older = await Member("older").start(broker, group, topic, instance="forwarder-0")
    await older.until_read(10)
    await older.stop_polling()
    newer = await Member("newer").start(await backend.open(), group, topic, instance="forwarder-0")
    await newer.until_owned(1)
    with pytest.raises(Fenced):
        await older.commit_read(list(older.owned))
    assert (await broker.committed(group, [topic]))[TopicPartition(topic, 0)] is None
    await older.subscription.close()
    await newer.stop()


async def test_a_position_that_retention_overtook_is_reported_and_not_read(
    backend: Backend, broker: Broker, kafka: RunningKafka
) -> None:
    topic = await backend.topic(broker, 2)
    gone, fine = TopicPartition(topic, 0), TopicPartition(topic, 1)
    publisher = await broker.publisher()
    member = Member()
    member.wanted = [fine]
    await member.start(broker, backend.group(), topic)
    await member.until_owned(2)
    # What is asked for is fetched at once, so the position is behind the log's start only if it is taken back there.
    await publisher.publish(topic, 0, numbered(0, 50))
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    await admin.delete_records({ClientPartition(*gone): RecordsToDelete(30)})
    await admin.close()
    consumer: Any = member.subscription._consumer  # type: ignore[attr-defined]  # KafkaSubscription's own
    consumer.seek(ClientPartition(*gone), 0)
    member.wanted = None
    await eventually(lambda: member.owned.get(gone) and member.owned[gone].out_of_range, "the alarm")
    assert member.owned[gone].log == LogRange(30, 50)
    assert [step.kind for step in member.history if step.partition == gone] == ["assigned", "revoked", "assigned"]
    await publisher.publish(topic, 1, numbered(0, 10))
    await member.until_read(10)
    assert not member.records[gone]
    assert not member.owned[fine].out_of_range
    await member.stop()


@pytest.mark.parametrize("broken", ["_coordinator", "_fetcher", "_client"])
async def test_a_consumer_that_broke_joins_anew(backend: Backend, broker: Broker, broken: str) -> None:
    topic = await backend.topic(broker)
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, numbered(0, 5))
    member = Member()
    member.on_revoked = member.commit_read
    await member.start(broker, backend.group(), topic)
    await member.until_read(5)
    part: Any = getattr(member.subscription._consumer, broken)  # type: ignore[attr-defined]  # KafkaSubscription's own
    tasks = {"_coordinator": "_coordination_task", "_fetcher": "_fetch_task", "_client": "_sync_task"}
    getattr(part, tasks[broken]).cancel()
    await publisher.publish(topic, 0, numbered(5, 5))
    await member.until_read(10)
    assert member.values(TopicPartition(topic, 0)) == [b"%d" % n for n in range(10)]
    assert [step.kind for step in member.history] == ["assigned", "revoked", "assigned"]
    await member.stop()


async def test_reading_ends_behind_the_last_record(backend: Backend, broker: Broker, kafka: RunningKafka) -> None:
    """The log may end with marks of transactions and with records that were aborted or deleted: nothing that is returned."""
    topic = await backend.topic(broker, 2)
    publisher = await broker.publisher()
    for n in range(2):
        await publisher.publish(topic, n, numbered(0, 10))
    transactional = await broker.transactional(backend.group())
    async with transactional.transaction() as transaction:
        await transaction.publish(topic, 0, numbered(10, 5))
    with suppress(ZeroDivisionError):
        async with transactional.transaction() as transaction:
            await transaction.publish(topic, 0, numbered(100, 5))
            raise ZeroDivisionError
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    await admin.delete_records({ClientPartition(topic, 1): RecordsToDelete(10)})
    await admin.close()
    async with asyncio.timeout(10):
        assert await values(broker, topic, 0) == [b"%d" % n for n in range(15)]
        assert await values(broker, topic) == [b"%d" % n for n in range(15)]
