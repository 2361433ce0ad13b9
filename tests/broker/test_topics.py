"""Contract: topics, what they hold and where groups stand in them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from broker.interface import LogRange, TopicPartition, UnknownTopic
from schemas.topics import DAY_MS, MIB
from tests.broker.log_contents import numbered

if TYPE_CHECKING:
    from broker.interface import Broker
    from tests.broker.backend import Backend


async def test_creates_what_is_missing_and_says_nothing_of_what_agrees(backend: Backend, broker: Broker) -> None:
    specs = [backend.spec(3), backend.spec(1, cleanup="compact", prefix="metrics.test")]
    assert await broker.ensure_topics(specs) == []
    assert await broker.ensure_topics(specs) == []
    assert [await broker.partitions(spec.name) for spec in specs] == [3, 1]
    assert await (await backend.open()).partitions(specs[0].name) == 3


async def test_only_checks_when_it_may_not_create(backend: Backend, broker: Broker) -> None:
    spec = backend.spec(2)
    (missing,) = await broker.ensure_topics([spec], create=False)
    assert (missing.topic, missing.found) == (spec.name, "missing")
    assert spec.name in str(missing)
    with pytest.raises(UnknownTopic):
        await broker.partitions(spec.name)


async def test_reports_every_difference_and_changes_nothing(backend: Backend, broker: Broker) -> None:
    spec = backend.spec(2)
    await broker.ensure_topics([spec])
    other = replace(spec, partitions=3, cleanup="compact", retention_ms=7 * DAY_MS, max_message_bytes=4 * MIB)
    differences = await broker.ensure_topics([other])
    by_setting = {difference.setting: difference for difference in differences}
    assert len(differences) == len(by_setting) == 4
    assert {(d.topic, d.wanted, d.found) for d in differences} >= {
        (spec.name, "3", "2"),
        (spec.name, "compact", "delete"),
        (spec.name, str(4 * MIB), str(2 * MIB)),
    }
    assert all(str(difference).startswith(f"topic {spec.name}: ") for difference in differences)
    assert await broker.ensure_topics([spec]) == []


async def test_a_difference_keeps_no_other_topic_from_being_created(backend: Backend, broker: Broker) -> None:
    old, new = backend.spec(2), backend.spec(1)
    await broker.ensure_topics([old])
    (difference,) = await broker.ensure_topics([replace(old, partitions=5), new])
    assert difference.topic == old.name
    assert await broker.partitions(new.name) == 1


async def test_several_processes_may_ensure_at_once(backend: Backend, broker: Broker) -> None:
    brokers = [broker, await backend.open(), await backend.open()]
    specs = [backend.spec(n + 1) for n in range(5)]
    assert await asyncio.gather(*(each.ensure_topics(specs) for each in brokers)) == [[], [], []]
    assert [await broker.partitions(spec.name) for spec in specs] == [1, 2, 3, 4, 5]


async def test_tells_what_the_partitions_hold(backend: Backend, broker: Broker) -> None:
    topic, other = await backend.topic(broker, 2), await backend.topic(broker)
    publisher = await broker.publisher()
    await publisher.publish(topic, 1, numbered(0, 7))
    ranges = await (await backend.open()).log_ranges([topic, other])
    assert dict(ranges) == {
        TopicPartition(topic, 0): LogRange(0, 0),
        TopicPartition(topic, 1): LogRange(0, 7),
        TopicPartition(other, 0): LogRange(0, 0),
    }
    assert all(isinstance(held, LogRange) for held in ranges.values())


async def test_a_group_that_never_committed_stands_nowhere(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, 2)
    standing = await broker.committed(backend.group(), [topic])
    assert dict(standing) == {TopicPartition(topic, 0): None, TopicPartition(topic, 1): None}


async def test_unknown_topics_are_named(backend: Backend, broker: Broker) -> None:
    known, unknown = await backend.topic(broker), backend.spec().name
    with pytest.raises(UnknownTopic, match=unknown):
        await broker.partitions(unknown)
    with pytest.raises(UnknownTopic, match=unknown):
        await broker.log_ranges([known, unknown])
    with pytest.raises(UnknownTopic, match=unknown):
        await broker.committed(backend.group(), [unknown, known])


async def test_a_log_says_which_it_is(backend: Backend, broker: Broker) -> None:
    identity = await broker.identity()
    assert identity
    assert await (await backend.open()).identity() == identity
