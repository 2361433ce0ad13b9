"""What is deleted, what is not, and that the disk gets it back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from broker.embedded.database import connect
from broker.embedded.directory import LogFile
from broker.embedded.retention import delete_expired, shrink
from broker.embedded.timing import Timing
from broker.interface import Commit, LogRange, TopicPartition
from schemas.topics import DAY_MS, FORWARDER_GROUP, TopicSpec, events_spec, rejected_spec
from tests.broker.embedded.calendar_clock import CalendarClock
from tests.broker.log_contents import message, numbered, values
from tests.broker.member import Member
from tests.broker.waiting import eventually

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from broker.embedded.broker import EmbeddedBroker
    from tests.broker.embedded.opening import Opener

EVENTS = events_spec("demo", 2)
REJECTED = rejected_spec(1)


@pytest.fixture
def calendar() -> CalendarClock:
    return CalendarClock()


@pytest.fixture
async def log(opener: Opener, calendar: CalendarClock) -> EmbeddedBroker:
    """A log that cleans itself only when a test does it."""
    log = await opener.open(clock=calendar, timing=replace(opener.timing, retention=1e9))
    await log.ensure_topics([EVENTS, REJECTED])
    return log


@pytest.fixture
def connection(log: EmbeddedBroker) -> Iterator[sqlite3.Connection]:
    connection = connect(log._parts.directory.database(LogFile.EVENTS), durable=False)
    yield connection
    connection.close()


async def clean(connection: sqlite3.Connection, calendar: CalendarClock) -> int:
    return await asyncio.to_thread(lambda: sum(delete_expired(connection, int(calendar.now() * 1000))))


async def pages(connection: sqlite3.Connection) -> int:
    (count,) = await asyncio.to_thread(lambda: connection.execute("PRAGMA page_count").fetchone())
    return int(count)


async def test_what_is_old_goes_and_what_is_young_stays(
    log: EmbeddedBroker, connection: sqlite3.Connection, calendar: CalendarClock
) -> None:
    publisher = await log.publisher()
    partition = TopicPartition(REJECTED.name, 0)
    await publisher.publish(REJECTED.name, 0, numbered(0, 600))
    calendar.days = 5
    await publisher.publish(REJECTED.name, 0, numbered(600, 10))
    assert await clean(connection, calendar) == 0
    calendar.days = 7.5
    assert await clean(connection, calendar) == 600
    assert (await log.log_ranges([REJECTED.name]))[partition] == LogRange(600, 610)
    assert await values(log, REJECTED.name) == [b"%d" % n for n in range(600, 610)]
    calendar.days = 30
    assert await clean(connection, calendar) == 10
    assert (await log.log_ranges([REJECTED.name]))[partition] == LogRange(610, 610)
    await publisher.publish(REJECTED.name, 0, numbered(610, 1))
    assert await values(log, REJECTED.name) == [b"610"]


async def test_what_is_not_delivered_stays_however_old(
    log: EmbeddedBroker, connection: sqlite3.Connection, calendar: CalendarClock
) -> None:
    publisher = await log.publisher()
    for partition in range(2):
        for n in range(10):
            await publisher.publish(EVENTS.name, partition, numbered(10 * n, 10))
    calendar.days = 400
    assert await clean(connection, calendar) == 0, "nobody delivered anything"
    member = await Member().start(log, FORWARDER_GROUP, EVENTS.name)
    await member.until_read(200)
    await member.subscription.commit({TopicPartition(EVENTS.name, 0): Commit(55, "")})
    assert await clean(connection, calendar) == 50
    other = await Member().start(log, "another-group", EVENTS.name)
    await other.until_owned(2)
    await other.subscription.commit(dict.fromkeys(other.owned, Commit(100, "")))
    assert await clean(connection, calendar) == 0, "only the forwarder's commits let go"
    await member.subscription.commit(dict.fromkeys(member.owned, Commit(100, "")))
    assert await clean(connection, calendar) == 150
    assert set((await log.log_ranges([EVENTS.name])).values()) == {LogRange(100, 100)}
    await member.stop()
    await other.stop()


async def test_a_reader_whose_place_was_deleted_is_told(
    log: EmbeddedBroker, connection: sqlite3.Connection, calendar: CalendarClock
) -> None:
    publisher = await log.publisher()
    await publisher.publish(REJECTED.name, 0, numbered(0, 10))
    member = await Member().start(log, "group", REJECTED.name)
    await member.until_read(10)
    await member.subscription.commit(dict.fromkeys(member.owned, Commit(4, "")))
    await member.stop()
    calendar.days = 8
    assert await clean(connection, calendar) == 10
    await publisher.publish(REJECTED.name, 0, numbered(10, 1))
    again = await Member().start(log, "group", REJECTED.name)
    await again.until_owned(1)
    (owned,) = again.owned.values()
    assert (owned.out_of_range, owned.commit, owned.log) == (True, Commit(4, ""), LogRange(10, 11))
    await again.until_polled()
    assert again.total() == 0
    await again.stop()


async def test_the_disk_gets_back_what_the_log_does_not_need(
    log: EmbeddedBroker, connection: sqlite3.Connection, calendar: CalendarClock
) -> None:
    publisher = await log.publisher()
    for n in range(80):
        await publisher.publish(REJECTED.name, 0, [message(b"%d" % n * 50_000)])
    before = await pages(connection)
    calendar.days = 8
    assert await clean(connection, calendar) == 80
    steps = await asyncio.to_thread(lambda: list(shrink(connection)))
    assert len(steps) > 3
    assert await pages(connection) < before / 2
    assert await asyncio.to_thread(lambda: list(shrink(connection))) == []


async def test_it_happens_by_itself_in_one_of_the_processes(opener: Opener, calendar: CalendarClock) -> None:
    topics = [REJECTED, TopicSpec("metrics.test", 1, "compact", 7 * DAY_MS, 1_000_000)]
    brokers = [await opener.open(clock=calendar, timing=Timing(housekeeping=0.05, retention=0.05)) for _ in range(2)]
    await brokers[0].ensure_topics(topics)
    publishers = [await each.publisher() for each in brokers]
    await publishers[0].publish(REJECTED.name, 0, numbered(0, 10))
    calendar.days = 8
    partition = TopicPartition(REJECTED.name, 0)

    async def start() -> int:
        return (await brokers[1].log_ranges([REJECTED.name]))[partition].start

    while await start() < 10:  # another thread's work, seen in the file
        await publishers[1].publish("metrics.test", 0, [message(b"x", b"same key")])
    # Whoever did it may go: the other one takes over.
    await brokers[0].close()
    await publishers[1].publish(REJECTED.name, 0, numbered(10, 10))
    calendar.days = 16
    while await start() < 20:
        await publishers[1].publish("metrics.test", 0, [message(b"x", b"same key")])
    assert await values(brokers[1], REJECTED.name) == []
    await eventually(lambda: publishers[1].fault() is None, "all is well")
