"""What the embedded log's transactions add to the contract: their bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.embedded import transactional
from broker.interface import Full, UnknownTopic
from schemas.topics import TopicSpec, commands_spec, events_spec
from tests.broker.log_contents import message, values

if TYPE_CHECKING:
    from broker.embedded.broker import EmbeddedBroker
    from tests.broker.embedded.opening import Opener

ROWS = TopicSpec("metrics.test.rows", 1, "compact", 1_000, 1_000_000)


@pytest.fixture
async def log(opener: Opener) -> EmbeddedBroker:
    log = await opener.open()
    await log.ensure_topics([events_spec("demo", 1), commands_spec(1), ROWS])
    return log


async def test_no_transaction_spans_both_files(log: EmbeddedBroker) -> None:
    owner = await log.transactional("id")

    async def both() -> None:
        async with owner.transaction() as transaction:
            await transaction.publish("commands", 0, [message(b"x")])
            await transaction.publish("ecommerce.events.demo", 0, [message(b"x")])

    with pytest.raises(ValueError, match=r"ecommerce\.events\.demo cannot be written in this transaction"):
        await both()
    assert await values(log, "commands") == []


async def test_a_transaction_is_bounded(log: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactional, "MAX_STAGED_BYTES", 100_000)
    owner = await log.transactional("id")

    async def large() -> None:
        async with owner.transaction() as transaction:
            for _ in range(11):
                await transaction.publish(ROWS.name, 0, [message(b"x" * 10_000)])

    with pytest.raises(Full, match="publish it in parts"):
        await large()
    assert await values(log, ROWS.name) == []


async def test_unknown_partitions_are_refused(log: EmbeddedBroker) -> None:
    owner = await log.transactional("id")

    async def publish(topic: str, partition: int) -> None:
        async with owner.transaction() as transaction:
            await transaction.publish(topic, partition, [message(b"x")])

    with pytest.raises(UnknownTopic, match=r"has 1 partitions, none is number 1"):
        await publish("commands", 1)
    with pytest.raises(UnknownTopic, match=r"there is no topic metrics\.nowhere"):
        await publish("metrics.nowhere", 0)


async def test_many_records_in_one_transaction_appear_together(log: EmbeddedBroker, opener: Opener) -> None:
    reader = await opener.open()
    owner = await log.transactional("id")
    async with owner.transaction() as transaction:
        for n in range(30):
            await transaction.publish(ROWS.name, 0, [message(b"%d" % (1_000 * n + m)) for m in range(1_000)])
        assert await values(reader, ROWS.name) == []
    assert await values(reader, ROWS.name) == [b"%d" % n for n in range(30_000)]
