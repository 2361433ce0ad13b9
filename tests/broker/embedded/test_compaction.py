"""Compaction keeps the last record of each key, and nothing moves."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from broker.embedded.compaction import compact
from broker.embedded.database import connect
from broker.embedded.directory import LogFile
from broker.interface import LogRange, TopicPartition
from schemas.topics import DAY_MS, TopicSpec
from tests.broker.embedded.calendar_clock import CalendarClock
from tests.broker.log_contents import contents, message, numbered, values

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from broker.embedded.broker import EmbeddedBroker
    from broker.interface import Message
    from tests.broker.embedded.opening import Opener

TOPIC = TopicSpec("metrics.test.rows", 2, "compact", 7 * DAY_MS, 1_000_000)
PARTITION = TopicPartition(TOPIC.name, 0)


@pytest.fixture
def calendar() -> CalendarClock:
    return CalendarClock()


@pytest.fixture
async def log(opener: Opener, calendar: CalendarClock) -> EmbeddedBroker:
    log = await opener.open(clock=calendar, timing=replace(opener.timing, retention=1e9))
    await log.ensure_topics([TOPIC])
    return log


@pytest.fixture
def connection(log: EmbeddedBroker) -> Iterator[sqlite3.Connection]:
    connection = connect(log._parts.directory.database(LogFile.EXPORTS), durable=False)
    yield connection
    connection.close()


async def now(
    connection: sqlite3.Connection, calendar: CalendarClock, *, keys: int = 200_000, every_ms: int = 0
) -> int:
    """Compact what is due; return how many records went."""
    return await asyncio.to_thread(lambda: sum(compact(connection, int(calendar.now() * 1000), every_ms, keys)))


@pytest.mark.parametrize("keys", [200_000, 7], ids=["at once", "few keys at a time"])
async def test_the_state_stays_and_so_does_every_offset(
    log: EmbeddedBroker, connection: sqlite3.Connection, calendar: CalendarClock, keys: int
) -> None:
    chance = random.Random(1)  # noqa: S311  # a sequence, not a secret
    publisher = await log.publisher()
    for _ in range(60):
        call: list[Message] = []
        for _ in range(chance.randrange(1, 60)):
            value = None if chance.random() < 0.1 else b"%d" % chance.randrange(10_000)
            call.append((b"key-%d" % chance.randrange(30), value, [("h", b"%d" % chance.randrange(9))]))
        await publisher.publish(TOPIC.name, chance.randrange(2), call)
    before = await contents(log, TOPIC.name)
    gone = await now(connection, calendar, keys=keys)
    after = await contents(log, TOPIC.name)
    last = {(record.partition, record.key): record for record in before}
    assert gone == len(before) - len(after) > 1_000
    assert sorted(after, key=lambda r: (r.partition, r.offset)) == sorted(
        last.values(), key=lambda r: (r.partition, r.offset)
    )
    assert await now(connection, calendar, keys=keys) == 0
    ranges = await log.log_ranges([TOPIC.name])
    for partition in range(2):
        end = 1 + max(record.offset for record in before if record.partition == partition)
        assert ranges[TopicPartition(TOPIC.name, partition)].end == end


async def test_tombstones_go_after_their_retention(
    log: EmbeddedBroker, connection: sqlite3.Connection, calendar: CalendarClock
) -> None:
    publisher = await log.publisher()
    await publisher.publish(TOPIC.name, 0, [message(b"1", b"a"), message(b"1", b"b"), message(None, b"a")])
    assert await now(connection, calendar) == 1
    assert await values(log, TOPIC.name) == [b"1", None]
    calendar.days = 6
    assert await now(connection, calendar) == 0
    calendar.days = 7.1
    assert await now(connection, calendar) == 1
    assert await values(log, TOPIC.name) == [b"1"]
    assert (await log.log_ranges([TOPIC.name]))[PARTITION].end == 3


async def test_an_emptied_partition_keeps_its_end(
    log: EmbeddedBroker, connection: sqlite3.Connection, calendar: CalendarClock
) -> None:
    publisher = await log.publisher()
    await publisher.publish(TOPIC.name, 0, [message(b"1", b"a"), message(None, b"a")])
    calendar.days = 8
    assert await now(connection, calendar) == 2
    assert await values(log, TOPIC.name) == []
    assert (await log.log_ranges([TOPIC.name]))[PARTITION] == LogRange(2, 2)
    await publisher.publish(TOPIC.name, 0, [message(b"2", b"a")])
    (record,) = await contents(log, TOPIC.name)
    assert (record.offset, record.value) == (2, b"2")


async def test_records_without_a_key_stay(
    log: EmbeddedBroker, connection: sqlite3.Connection, calendar: CalendarClock
) -> None:
    publisher = await log.publisher()
    await publisher.publish(TOPIC.name, 0, [message(b"1", None), message(b"2", None)])
    assert await now(connection, calendar) == 0
    assert await values(log, TOPIC.name) == [b"1", b"2"]


async def test_reading_goes_on_over_the_gaps(
    log: EmbeddedBroker, connection: sqlite3.Connection, calendar: CalendarClock
) -> None:
    publisher = await log.publisher()
    for _ in range(30):
        await publisher.publish(TOPIC.name, 0, [message(b"v", b"key-%d" % n) for n in range(100)])
    reading = log.read(TOPIC.name, partition=0)
    assert (await anext(reading)).offset == 0
    assert await now(connection, calendar) == 2_900
    rest = [record.offset async for record in reading]
    assert rest == sorted(set(rest))
    assert rest[-100:] == list(range(2_900, 3_000))


async def test_it_waits_until_it_is_worth_it(
    log: EmbeddedBroker, connection: sqlite3.Connection, calendar: CalendarClock
) -> None:
    publisher = await log.publisher()
    await publisher.publish(TOPIC.name, 0, [message(b"x", b"same")] * 50)
    assert await now(connection, calendar, every_ms=DAY_MS) == 49, "never done before"
    await publisher.publish(TOPIC.name, 0, [message(b"x", b"same")] * 900)
    assert await now(connection, calendar, every_ms=DAY_MS) == 0
    await publisher.publish(TOPIC.name, 0, [message(b"x", b"same")] * 100)
    assert await now(connection, calendar, every_ms=DAY_MS) == 1_000
    await publisher.publish(TOPIC.name, 0, numbered(0, 10))
    assert await now(connection, calendar, every_ms=DAY_MS) == 0
    calendar.days = 1.1
    assert await now(connection, calendar, every_ms=DAY_MS) == 9
