"""Contract: reading outside of any group."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import pytest

from broker.interface import UnknownTopic
from tests.broker.log_contents import contents, message, numbered, values
from tests.broker.waiting import DEADLINE, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from broker.interface import Broker, Record
    from tests.broker.backend import Backend


def reading(broker: Broker, topic: str, *, from_beginning: bool, follow: bool) -> AsyncGenerator[Record]:
    """Return `broker.read` as what can be closed."""
    return cast("AsyncGenerator[Record]", broker.read(topic, from_beginning=from_beginning, follow=follow))


async def test_reads_every_partition_in_its_order(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, 3)
    publisher = await broker.publisher()
    for n in range(3):
        await publisher.publish(topic, n, numbered(1_000 * n, 2_500))
    got = await contents(broker, topic)
    assert len(got) == 7_500
    for n in range(3):
        assert [int(r.value or b"") for r in got if r.partition == n] == list(range(1_000 * n, 1_000 * n + 2_500))


async def test_reads_one_partition_alone(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, 2)
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, [message(b"zero")])
    await publisher.publish(topic, 1, [message(b"one")])
    assert await values(broker, topic, 1) == [b"one"]


async def test_reads_from_an_offset_on(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, 2)
    publisher = await broker.publisher()
    for n in range(2):
        await publisher.publish(topic, n, numbered(100 * n, 10))
    read = [int(each.value or b"") async for each in broker.read(topic, start=8)]
    assert sorted(read) == [8, 9, 108, 109]
    assert [each.offset async for each in broker.read(topic, partition=1, start=9)] == [9]
    assert [each async for each in broker.read(topic, start=11)] == []
    following = cast("AsyncGenerator[Record]", broker.read(topic, partition=1, start=9, follow=True))
    async with asyncio.timeout(DEADLINE), aclosing(following) as records:
        assert (await anext(records)).offset == 9


async def test_an_empty_topic_ends_at_once(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, 2)
    assert await contents(broker, topic) == []
    assert [r async for r in broker.read(topic, from_beginning=False)] == []


async def test_stops_at_the_end_as_it_was_at_the_call(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker)
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, numbered(0, 10))
    got = []
    async for record in broker.read(topic):
        got.append(record.offset)
        await publisher.publish(topic, 0, [message(b"later")])
    assert got == list(range(10))


async def test_follows_what_comes_later(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, 2)
    publisher = await (await backend.open()).publisher()
    await publisher.publish(topic, 0, [message(b"0")])
    async with asyncio.timeout(DEADLINE), aclosing(reading(broker, topic, from_beginning=True, follow=True)) as records:
        assert (await anext(records)).value == b"0"
        for n in range(1, 20):
            await publisher.publish(topic, n % 2, [message(b"%d" % n)])
            assert (await anext(records)).value == b"%d" % n


async def test_from_the_end_only_what_comes_later(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker)
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, numbered(0, 10))
    async with aclosing(reading(broker, topic, from_beginning=False, follow=True)) as records:
        first = asyncio.ensure_future(anext(records))
        sent = 10
        # When the reader has found the end is its own affair: send until it sees one.
        while not first.done():
            await publisher.publish(topic, 0, [message(b"%d" % sent)])
            sent += 1
            await asyncio.sleep(0.02)
        record = await first
        assert record.offset >= 10
        assert record.value == b"%d" % record.offset


async def test_folding_a_compacted_topic_gives_its_state(backend: Backend, broker: Broker) -> None:
    spec = backend.spec(2, cleanup="compact", prefix="metrics.test")
    await broker.ensure_topics([spec])
    publisher = await broker.publisher()
    for n in range(50):
        await publisher.publish(spec.name, n % 2, [message(b"%d" % n, b"key-%d" % (n % 6))])
    await publisher.publish(spec.name, 1, [message(None, b"key-5")])
    state: dict[bytes | None, bytes] = {}
    for record in await contents(await backend.open(), spec.name):
        if record.value is None:
            state.pop(record.key, None)
        else:
            state[record.key] = record.value
    assert state == {b"key-0": b"48", b"key-1": b"49", b"key-2": b"44", b"key-3": b"45", b"key-4": b"46"}


async def test_an_unknown_topic_is_named(backend: Backend, broker: Broker) -> None:
    unknown = backend.spec().name
    with pytest.raises(UnknownTopic, match=unknown):
        await contents(broker, unknown)


async def test_several_followers_see_the_same(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker)
    publisher = await broker.publisher()
    seen: list[list[int]] = [[], []]

    async def follow(which: int) -> None:
        async for record in broker.read(topic, follow=True):
            seen[which].append(record.offset)

    followers = [asyncio.create_task(follow(n)) for n in range(2)]
    await publisher.publish(topic, 0, numbered(0, 100))
    await eventually(lambda: len(seen[0]) == len(seen[1]) == 100, "both followers at the end")
    for follower in followers:
        follower.cancel()
    await asyncio.gather(*followers, return_exceptions=True)
    assert seen == [list(range(100))] * 2
