"""Contract: publishing. Durable when acknowledged, in the order of the calls, refused before anything is taken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from broker.interface import BrokerError, Full, RecordTooLarge, UnknownTopic
from schemas.topics import MIB
from tests.broker.log_contents import contents, message, numbered, values

if TYPE_CHECKING:
    from broker.interface import Broker, Message
    from tests.broker.backend import Backend


async def test_what_was_acknowledged_is_read_as_it_was_given(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker)
    given: list[Message] = [
        (b"key", b'{"a": 1}', [("ce_id", b"r-0"), ("ce_type", b"ecommerce.purchase")]),
        (None, b"without a key", []),
        (b"", b"an empty key", [("h", b"")]),
        (b"k", b"", [("same", b"1"), ("same", b"2"), ("ümlaut", "größe".encode())]),
        (b"k", None, [("tombstone", b"yes")]),
        (b"\x00\xff", bytes(range(256)), [("bytes", bytes(range(256)))]),
    ]
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, given)
    got = await contents(await backend.open(), topic)
    assert [(r.key, r.value, [tuple(h) for h in r.headers]) for r in got] == given
    assert [(r.topic, r.partition, r.offset) for r in got] == [(topic, 0, n) for n in range(len(given))]
    assert all(isinstance(header, tuple) for r in got for header in r.headers)


async def test_timestamps_are_the_logs_own_and_do_not_go_back(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker)
    publisher = await broker.publisher()
    for n in range(3):
        await publisher.publish(topic, 0, numbered(n, 2))
    stamps = [record.timestamp for record in await contents(broker, topic)]
    assert stamps == sorted(stamps)
    assert 1_700_000_000_000 < stamps[0] < 100_000_000_000_000


async def test_a_large_record_comes_back_whole(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker)
    large = bytes(range(256)) * 4 * 1024
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, [message(b"before"), message(large), message(b"after")])
    assert await values(broker, topic) == [b"before", large, b"after"]
    assert len(large) == MIB


async def test_calls_keep_their_order_in_each_partition(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, 4)
    publisher = await broker.publisher()
    order: dict[int, list[bytes | None]] = {n: [] for n in range(4)}

    async def storefront(name: str) -> None:
        for call in range(50):
            partition = (call + len(name)) % 4
            messages = [message(b"%s-%d-%d" % (name.encode(), call, n)) for n in range(1 + call % 5)]
            done = publisher.publish(topic, partition, messages)
            order[partition].extend(value for _, value, _ in messages)
            if call % 7 == 0:
                await done
            else:
                await asyncio.sleep(0)

    await asyncio.gather(*(storefront(name) for name in ("a", "bb", "ccc", "dddd")))
    await publisher.close()
    for partition in range(4):
        assert await values(broker, topic, partition) == order[partition]


async def test_two_publishers_keep_their_own_order(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker)
    publishers = [await broker.publisher(), await (await backend.open()).publisher()]
    pending = [
        publisher.publish(topic, 0, [message(b"%d:%d" % (who, n))])
        for n in range(100)
        for who, publisher in enumerate(publishers)
    ]
    await asyncio.gather(*pending)
    got = await values(broker, topic)
    assert len(got) == 200
    for who in range(2):
        mine = [value for value in got if value is not None and value.startswith(b"%d:" % who)]
        assert mine == [b"%d:%d" % (who, n) for n in range(100)]


async def test_a_record_too_large_is_refused_with_its_whole_call(backend: Backend, broker: Broker) -> None:
    spec = backend.spec(max_message_bytes=10_000)
    await broker.ensure_topics([spec])
    publisher = await broker.publisher()
    with pytest.raises(RecordTooLarge, match=spec.name):
        _ = publisher.publish(spec.name, 0, [message(b"small"), message(b"x" * 10_001)])
    with pytest.raises(RecordTooLarge):
        _ = publisher.publish(spec.name, 0, [(b"k", b"small", [("header", b"x" * 10_001)])])
    await publisher.publish(spec.name, 0, [message(b"x" * 9_000), message(b"y" * 9_000), message(b"next")])
    assert [value and value[:4] for value in await values(broker, spec.name)] == [b"xxxx", b"yyyy", b"next"]


async def test_more_than_may_wait_is_refused_and_nothing_of_it_taken(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker)
    publisher = await broker.publisher(max_pending_bytes=10_000)
    pending = [publisher.publish(topic, 0, [message(b"%d" % n * 4_000)]) for n in range(2)]
    with pytest.raises(Full):
        _ = publisher.publish(topic, 0, [message(b"2" * 4_000)])
    await asyncio.gather(*pending)
    await publisher.publish(topic, 0, [message(b"3" * 4_000)])
    assert [value and value[:1] for value in await values(broker, topic)] == [b"0", b"1", b"3"]


async def test_an_unknown_topic_is_refused(backend: Backend, broker: Broker) -> None:
    await backend.topic(broker)
    publisher = await broker.publisher()
    unknown = backend.spec().name
    with pytest.raises(UnknownTopic, match=unknown):
        await publisher.publish(unknown, 0, [message(b"x")])


async def test_a_topic_that_another_process_created_later_can_be_published_to(backend: Backend, broker: Broker) -> None:
    publisher = await broker.publisher()
    topic = await backend.topic(await backend.open())
    async with asyncio.timeout(30):
        while True:
            try:
                await publisher.publish(topic, 0, [message(b"x")])
            except UnknownTopic:
                await asyncio.sleep(0.05)
            else:
                break
    assert await values(broker, topic) == [b"x"]


async def test_a_refused_topic_holds_up_no_other(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker)
    publisher = await broker.publisher()
    with pytest.raises(UnknownTopic):
        await publisher.publish(backend.spec().name, 0, [message(b"nowhere")])
    await publisher.publish(topic, 0, [message(b"here")])
    assert publisher.fault() is None
    assert await values(broker, topic) == [b"here"]


async def test_close_waits_for_what_is_pending(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, 2)
    publisher = await broker.publisher()
    pending = [publisher.publish(topic, n % 2, numbered(n, 10)) for n in range(40)]
    await publisher.close()
    assert all(future.done() and future.exception() is None for future in pending)
    await publisher.close()
    assert len(await contents(broker, topic)) == 400
    with pytest.raises(BrokerError):
        await publisher.publish(topic, 0, [message(b"too late")])


async def test_closing_the_broker_leaves_no_call_without_an_answer(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker)
    other = await backend.open()
    publisher = await other.publisher()
    pending = [publisher.publish(topic, 0, numbered(n, 1)) for n in range(20)]
    await other.close()
    assert all(future.done() for future in pending)
    acknowledged = sum(future.exception() is None for future in pending)
    assert len(await contents(broker, topic)) >= acknowledged
