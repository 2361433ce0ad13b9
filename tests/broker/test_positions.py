"""Contract: where a member begins to read, what it is given and when, and what it leaves behind."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from broker.interface import Commit, LogRange, TopicPartition
from tests.broker.log_contents import message, numbered
from tests.broker.member import Member
from tests.broker.waiting import eventually

if TYPE_CHECKING:
    from broker.interface import Broker
    from tests.broker.backend import Backend


async def test_without_a_commit_reading_begins_at_the_beginning_every_time(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker), backend.group()
    partition = TopicPartition(topic, 0)
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, numbered(0, 20))
    for _ in range(2):
        member = await Member().start(broker, group, topic)
        await member.until_read(20)
        owned = member.owned[partition]
        assert (owned.position, owned.commit, owned.log, owned.out_of_range) == (0, None, LogRange(0, 20), False)
        assert member.values(partition) == [b"%d" % n for n in range(20)]
        await member.stop()


async def test_reading_goes_on_at_the_commit_with_what_was_written_beside_it(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker, 2), backend.group()
    publisher = await broker.publisher()
    for n in range(2):
        await publisher.publish(topic, n, numbered(0, 20))
    commits = {
        TopicPartition(topic, 0): Commit(15, "ä" + "x" * 3_998),
        TopicPartition(topic, 1): Commit(20, ""),
    }
    first = await Member().start(broker, group, topic)
    await first.until_read(40)
    await first.subscription.commit({partition: Commit(3, "earlier") for partition in commits})
    await first.subscription.commit(commits)
    await first.stop()
    reopened = await backend.open()
    assert dict(await reopened.committed(group, [topic])) == commits
    second = await Member().start(reopened, group, topic)
    await second.until_owned(2)
    assert {partition: (owned.position, owned.commit) for partition, owned in second.owned.items()} == {
        partition: (commit.offset, commit) for partition, commit in commits.items()
    }
    await publisher.publish(topic, 1, [message(b"20")])
    await second.until_read(6)
    assert second.values(TopicPartition(topic, 0)) == [b"%d" % n for n in range(15, 20)]
    assert second.values(TopicPartition(topic, 1)) == [b"20"]
    await second.stop()


async def test_a_commit_outside_the_log_is_reported_and_not_read(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker, 2), backend.group()
    bad, good = TopicPartition(topic, 0), TopicPartition(topic, 1)
    publisher = await broker.publisher()
    for n in range(2):
        await publisher.publish(topic, n, numbered(0, 10))
    first = await Member().start(broker, group, topic)
    await first.until_owned(2)
    await first.subscription.commit({bad: Commit(1_000, "beyond"), good: Commit(4, "")})
    await first.stop()
    second = await Member().start(broker, group, topic)
    await second.until_read(6)
    assert second.owned[bad].out_of_range
    assert second.owned[bad].commit == Commit(1_000, "beyond")
    assert second.owned[bad].log == LogRange(0, 10)
    assert not second.owned[good].out_of_range
    await publisher.publish(topic, 0, numbered(10, 10))
    await publisher.publish(topic, 1, numbered(10, 1))
    await second.until_read(7)
    await second.until_polled()
    assert not second.records[bad]
    assert (await broker.committed(group, [topic]))[bad] == Commit(1_000, "beyond")
    await second.stop()


async def test_a_commit_at_the_end_is_within_the_log(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker), backend.group()
    partition = TopicPartition(topic, 0)
    for _ in range(2):
        member = await Member().start(broker, group, topic)
        await member.until_owned(1)
        assert not member.owned[partition].out_of_range
        await member.subscription.commit({partition: Commit(0, "")})
        await member.stop()


async def test_not_asking_for_a_partition_loses_nothing(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker, 3), backend.group()
    parts = [TopicPartition(topic, n) for n in range(3)]
    publisher = await broker.publisher()
    for n in range(3):
        await publisher.publish(topic, n, numbered(0, 3_000))
    member = Member()
    member.wanted = [parts[0]]
    await member.start(broker, group, topic)
    await member.until_read(3_000)
    await member.until_polled()
    assert not member.records[parts[1]]
    member.wanted = [parts[1], TopicPartition(topic, 99)]
    await member.until_read(6_000)
    assert not member.records[parts[2]]
    member.wanted = None
    await publisher.publish(topic, 0, numbered(3_000, 10))
    await member.until_read(9_010)
    assert member.values(parts[0]) == [b"%d" % n for n in range(3_010)]
    for n in (1, 2):
        assert member.values(parts[n]) == [b"%d" % value for value in range(3_000)]
    await member.stop()


async def test_polling_for_nothing_keeps_the_member_in_its_group(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker, 2), backend.group()
    publisher = await broker.publisher()
    member = Member()
    member.wanted = ()
    await member.start(broker, group, topic)
    await member.until_owned(2)
    await publisher.publish(topic, 0, numbered(0, 10))
    # Longer than a local log's session; a Kafka's is longer, its heartbeats are its client's own affair.
    await member.until_polled(35)
    assert len(member.history) == 2
    assert member.total() == 0
    member.wanted = None
    await member.until_read(10)
    await member.subscription.commit({TopicPartition(topic, 0): Commit(10, "")})
    await member.stop()


async def test_never_more_records_than_asked_for(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker, 2), backend.group()
    publisher = await broker.publisher()
    for n in range(2):
        await publisher.publish(topic, n, numbered(0, 250))
    subscription = await broker.subscribe(group, [topic], Member())
    read: dict[TopicPartition, list[int]] = {TopicPartition(topic, n): [] for n in range(2)}
    async with asyncio.timeout(60):
        while sum(map(len, read.values())) < 500:
            got = await subscription.poll(0.5, max_records=70)
            assert sum(map(len, got.values())) <= 70
            for partition, records in got.items():
                read[partition].extend(record.offset for record in records)
    assert list(read.values()) == [list(range(250))] * 2
    await subscription.close()


async def test_poll_returns_as_soon_as_anything_is_there(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker), backend.group()
    subscription = await broker.subscribe(group, [topic], Member())
    async with asyncio.timeout(60):
        while not subscription.assignment:
            await subscription.poll(0.1)
    began = time.monotonic()
    assert not await subscription.poll(0.2)
    assert time.monotonic() - began >= 0.15
    waiting = asyncio.create_task(subscription.poll(60))
    publisher = await (await backend.open()).publisher()
    await publisher.publish(topic, 0, [message(b"wake up")])
    async with asyncio.timeout(20):
        got = await waiting
    assert [record.value for record in got[TopicPartition(topic, 0)]] == [b"wake up"]
    await subscription.close()


async def test_committed_is_seen_by_every_broker_while_the_owner_goes_on(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker), backend.group()
    partition = TopicPartition(topic, 0)
    publisher = await broker.publisher()
    member = await Member().start(broker, group, topic)
    observer = await backend.open()
    for n in range(5):
        await publisher.publish(topic, 0, numbered(10 * n, 10))
        await member.until_read(10 * (n + 1))
        await member.subscription.commit({partition: Commit(10 * (n + 1), f"tally {n}")})
        assert (await observer.committed(group, [topic]))[partition] == Commit(10 * (n + 1), f"tally {n}")
        assert (await observer.log_ranges([topic]))[partition] == LogRange(0, 10 * (n + 1))
    await eventually(lambda: member.total() == 50, "nothing twice")
    await member.stop()
