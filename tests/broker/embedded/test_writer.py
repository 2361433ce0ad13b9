"""What happens when the disk is full, the file locked, or nobody answers in time."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from broker.embedded import database
from broker.embedded.directory import LogFile
from broker.interface import Commit, NotAcknowledged, TopicPartition, Unavailable
from schemas.topics import commands_spec, events_spec
from tests.broker.embedded.opening import writer_of
from tests.broker.log_contents import message, numbered, values
from tests.broker.member import Member
from tests.broker.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.embedded.broker import EmbeddedBroker
    from broker.embedded.directory import DataDirectory
    from tests.broker.embedded.opening import Opener

TOPIC = "ecommerce.events.demo"


@pytest.fixture
async def log(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> EmbeddedBroker:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.1)
    log = await opener.open()
    await log.ensure_topics([events_spec("demo", 2), commands_spec(1)])
    return log


@contextmanager
def locked(directory: DataDirectory, file: LogFile = LogFile.EVENTS) -> Iterator[None]:
    """Hold the file's write lock, as a process does that was stopped in a transaction."""
    connection = sqlite3.connect(directory.database(file), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


async def allow_pages(log: EmbeddedBroker, more: int | None) -> None:
    """Make the disk full after so many more pages; None: let it have room again."""

    def limit(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {1 << 30 if more is None else pages + more}")

    await writer_of(log, LogFile.EVENTS).submit(limit)


async def test_a_full_disk_is_said_and_got_over(log: EmbeddedBroker) -> None:
    publisher = await log.publisher(ack_timeout=0.5)
    await publisher.publish(TOPIC, 0, [message(b"before")])
    await allow_pages(log, 20)
    with pytest.raises(Unavailable, match=r"events\.db: the disk is full"):
        await publisher.publish(TOPIC, 0, [message(b"x" * 1_000_000)])
    assert publisher.fault() is not None
    assert "the disk is full" in (publisher.fault() or "")
    await publisher.publish("commands", 0, [message(b"the other file has room")])
    await allow_pages(log, None)
    await publisher.publish(TOPIC, 0, [message(b"after")])
    assert publisher.fault() is None
    assert await values(log, TOPIC) == [b"before", b"after"]


async def test_what_fits_in_time_is_acknowledged_in_its_order(log: EmbeddedBroker) -> None:
    publisher = await log.publisher(ack_timeout=20)
    await allow_pages(log, 0)
    pending = [publisher.publish(TOPIC, 0, [message(b"%d" % n * 10_000)]) for n in range(5)]
    await eventually(publisher.fault, "the writer says that it cannot")
    pending += [publisher.publish(TOPIC, 0, [message(b"%d" % n * 10_000)]) for n in range(5, 10)]
    # The writer keeps trying what it has before it takes anything else: room has to come from outside, as it would.
    connection = writer_of(log, LogFile.EVENTS)._connection
    assert connection is not None
    await asyncio.to_thread(connection.execute, "PRAGMA max_page_count = 1073741823")
    await asyncio.gather(*pending)
    assert [value and value[:1] for value in await values(log, TOPIC)] == [b"%d" % n for n in range(10)]


async def test_a_locked_file_is_waited_for(log: EmbeddedBroker, directory: DataDirectory) -> None:
    publisher = await log.publisher()
    with locked(directory):
        pending = publisher.publish(TOPIC, 0, [message(b"patient")])
        await publisher.publish("commands", 0, [message(b"the other file is free")])
        assert not pending.done()
    await pending
    assert await values(log, TOPIC) == [b"patient"]


async def test_a_file_locked_for_too_long_is_surely_not_written(log: EmbeddedBroker, directory: DataDirectory) -> None:
    publisher = await log.publisher(ack_timeout=0.5)
    with locked(directory):
        first = publisher.publish(TOPIC, 0, [message(b"first")])
        await eventually(publisher.fault, "the writer found the file locked")
        assert "another process holds it locked" in (publisher.fault() or "")
        later = publisher.publish(TOPIC, 0, [message(b"later")])
        failed = await asyncio.gather(first, later, return_exceptions=True)
        # Of the first the writer may have been in the middle of a try; the later one it had not come to.
        assert isinstance(failed[0], (Unavailable, NotAcknowledged))
        assert isinstance(failed[1], Unavailable)
    await publisher.publish(TOPIC, 0, [message(b"afterwards")])
    assert await values(log, TOPIC) == [b"afterwards"]


async def test_what_the_writer_was_at_is_in_doubt(log: EmbeddedBroker) -> None:
    held, let_go = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        held.set()
        let_go.wait(30)

    publisher = await log.publisher(ack_timeout=0.3)
    holding = asyncio.create_task(writer_of(log, LogFile.EVENTS).submit(hold, seconds=0.3))
    await eventually(held.is_set, "the writer is at it")
    behind = publisher.publish(TOPIC, 0, [message(b"behind it")])
    outcomes = await asyncio.gather(holding, behind, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [NotAcknowledged, Unavailable]
    let_go.set()
    await publisher.publish(TOPIC, 0, [message(b"next")])
    assert await values(log, TOPIC) == [b"next"], "what was given up must not be written afterwards"


async def test_a_failed_commit_is_in_doubt(log: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_sync(*_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
        raise error

    publisher = await log.publisher(ack_timeout=0.3)
    await publisher.publish(TOPIC, 0, [message(b"before")])
    with monkeypatch.context() as patch:
        patch.setattr("broker.embedded.writer.append_at_once", no_sync)
        with pytest.raises(NotAcknowledged, match="the disk reports an error"):
            await publisher.publish(TOPIC, 0, [message(b"in doubt")])
    await publisher.publish(TOPIC, 0, [message(b"after")])
    assert await values(log, TOPIC) == [b"before", b"after"]


async def test_one_faulty_entry_fails_alone(log: EmbeddedBroker) -> None:
    def faulty(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO appends VALUES (99, 1, 0, x'90', 0)")

    writer = writer_of(log, LogFile.EVENTS)
    publisher = await log.publisher()
    held = threading.Event()
    holding = asyncio.create_task(writer.submit(lambda _: held.wait(30)))
    await asyncio.sleep(0)
    failing = asyncio.create_task(writer.submit(faulty))
    await asyncio.sleep(0)
    pending = publisher.publish(TOPIC, 0, [message(b"good")])
    held.set()
    with pytest.raises(Unavailable, match="no such partition"):
        await failing
    await pending
    assert await holding
    assert await values(log, TOPIC) == [b"good"]


async def test_a_commit_waits_for_the_file_no_longer_than_it_may(
    log: EmbeddedBroker, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.embedded.subscription._COMMIT_SECONDS", 0.2)
    member = await Member().start(log, "group", TOPIC)
    await member.until_owned(2)
    with locked(directory), pytest.raises(Unavailable):
        await member.subscription.commit({TopicPartition(TOPIC, 0): Commit(0, "")})
    await member.subscription.commit({TopicPartition(TOPIC, 0): Commit(0, "")})
    await member.stop()


async def test_closing_leaves_nobody_waiting(log: EmbeddedBroker, directory: DataDirectory) -> None:
    publisher = await log.publisher()
    with locked(directory):
        pending = [publisher.publish(TOPIC, 0, numbered(n, 1)) for n in range(3)]
        await publisher.close(0.1)
        outcomes = await asyncio.gather(*pending, return_exceptions=True)
    assert all(isinstance(outcome, (Unavailable, NotAcknowledged)) for outcome in outcomes)
