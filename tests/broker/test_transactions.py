"""Contract: transactions over several topics."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from broker.interface import Fenced
from tests.broker.log_contents import message, numbered, values
from tests.broker.member import Member

if TYPE_CHECKING:
    from broker.interface import Broker
    from tests.broker.backend import Backend

EXPORTS = "metrics.test"


def transactional_id() -> str:
    return f"account-{uuid.uuid4().hex[:12]}"


async def test_commits_over_several_topics_at_once(backend: Backend, broker: Broker) -> None:
    rows, ledger = await backend.topic(broker, 2, prefix=EXPORTS), await backend.topic(broker, prefix=EXPORTS)
    publisher = await broker.transactional(transactional_id())
    async with publisher.transaction() as transaction:
        await transaction.publish(rows, 0, numbered(0, 500))
        await transaction.publish(ledger, 0, [message(b"checkpoint")])
        await transaction.publish(rows, 1, [message(b"x")])
        await transaction.publish(rows, 0, numbered(500, 500))
    reader = await backend.open()
    assert await values(reader, rows, 0) == [b"%d" % n for n in range(1_000)]
    assert await values(reader, rows, 1) == [b"x"]
    assert await values(reader, ledger) == [b"checkpoint"]
    await publisher.close()
    await publisher.close()


async def test_is_visible_to_no_reader_before_its_end(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, prefix=EXPORTS)
    member = await Member().start(broker, backend.group(), topic)
    await member.until_owned(1)
    publisher = await broker.transactional(transactional_id())
    async with publisher.transaction() as transaction:
        await transaction.publish(topic, 0, numbered(0, 10))
        assert await values(broker, topic) == []
        await member.until_polled()
        assert member.total() == 0
    await member.until_read(10)
    assert await values(broker, topic) == [b"%d" % n for n in range(10)]
    await member.stop()


async def test_an_exception_aborts_and_the_next_transaction_works(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, prefix=EXPORTS)
    publisher = await broker.transactional(transactional_id())

    async def fails() -> None:
        async with publisher.transaction() as transaction:
            await transaction.publish(topic, 0, [message(b"never")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    async with publisher.transaction() as transaction:
        await transaction.publish(topic, 0, [message(b"kept")])
    assert await values(broker, topic) == [b"kept"]
    member = await Member().start(broker, backend.group(), topic)
    await member.until_read(1)
    assert [record.value for records in member.records.values() for record in records] == [b"kept"]
    await member.stop()


async def test_an_empty_transaction_changes_nothing(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, prefix=EXPORTS)
    publisher = await broker.transactional(transactional_id())
    async with publisher.transaction():
        pass
    assert await values(broker, topic) == []


async def test_a_newer_owner_fences_an_open_transaction(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, prefix=EXPORTS)
    name = transactional_id()
    older = await broker.transactional(name)

    async def overtaken() -> None:
        async with older.transaction() as transaction:
            await transaction.publish(topic, 0, [message(b"older")])
            newer = await (await backend.open()).transactional(name)
            async with newer.transaction() as other:
                await other.publish(topic, 0, [message(b"newer")])
            await transaction.publish(topic, 0, [message(b"older still")])

    async with asyncio.timeout(60):
        with pytest.raises(Fenced):
            await overtaken()
        assert await values(broker, topic) == [b"newer"]
        await older.close()


async def test_a_fenced_owner_stays_fenced(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, prefix=EXPORTS)
    name = transactional_id()
    older = await broker.transactional(name)
    newer = await (await backend.open()).transactional(name)

    async def again() -> None:
        async with older.transaction() as transaction:
            await transaction.publish(topic, 0, [message(b"older")])

    for _ in range(2):
        async with asyncio.timeout(60):
            with pytest.raises(Fenced):
                await again()
    async with newer.transaction() as transaction:
        await transaction.publish(topic, 0, [message(b"newer")])
    assert await values(broker, topic) == [b"newer"]
    await older.close()


async def test_other_ids_are_not_fenced(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, prefix=EXPORTS)
    first, second = await broker.transactional(transactional_id()), await broker.transactional(transactional_id())
    async with first.transaction() as one:
        await one.publish(topic, 0, [message(b"one")])
        async with second.transaction() as two:
            await two.publish(topic, 0, [message(b"two")])
    assert sorted(value or b"" for value in await values(broker, topic)) == [b"one", b"two"]
