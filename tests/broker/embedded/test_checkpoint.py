"""The write-ahead log is moved into the file, by one process, and never grows without end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from broker.embedded import checkpoint
from broker.embedded.checkpoint import Checkpointer
from broker.embedded.database import connect, create_files
from broker.embedded.directory import LogFile
from schemas.topics import events_spec
from tests.broker.log_contents import message, values
from tests.broker.waiting import eventually

if TYPE_CHECKING:
    import pytest

    from broker.embedded.directory import DataDirectory
    from tests.broker.embedded.opening import Opener

TOPIC = "ecommerce.events.demo"
MB = 1_000_000


async def test_the_log_is_checkpointed_while_it_grows(opener: Opener, directory: DataDirectory) -> None:
    log = await opener.open(timing=replace(opener.timing, housekeeping=0.02))
    await log.ensure_topics([events_spec("demo", 1)])
    publisher = await log.publisher()
    database = directory.database(LogFile.EVENTS)
    wal = database.with_name("events.db-wal")
    for written in range(1, 1_000):
        await publisher.publish(TOPIC, 0, [message(b"x" * MB)])
        if written * MB > 2 * wal.stat().st_size:
            break
    assert written * MB > 2 * wal.stat().st_size, "the write-ahead log never began anew"
    await eventually(lambda: database.stat().st_size > written * MB / 2, "what was written is in the file itself")


async def test_an_idle_log_is_left_alone(opener: Opener, directory: DataDirectory) -> None:
    log = await opener.open(timing=replace(opener.timing, housekeeping=1e9))
    await log.ensure_topics([events_spec("demo", 1)])
    publisher = await log.publisher()
    path = directory.database(LogFile.EVENTS)
    connection = await asyncio.to_thread(partial(connect, path, durable=False))
    checkpointer = Checkpointer(connection, path)

    async def begun() -> int:
        (count,) = await asyncio.to_thread(lambda: connection.execute("SELECT begun FROM checkpoints").fetchone())
        return int(count)

    async def look() -> int:
        await asyncio.to_thread(checkpointer.look)
        return await begun()

    assert await look() == 0, "not worth it"
    await publisher.publish(TOPIC, 0, [message(b"x" * MB)] * 2)
    await publisher.publish(TOPIC, 0, [message(b"x" * MB)] * 3)
    assert await look() == 1
    assert await look() == 1, "nothing new"
    connection.close()


async def test_writers_without_a_pause_are_held_up_for_a_moment(
    opener: Opener, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_TOO_LONG_BYTES", 8 * MB)
    log = await opener.open(timing=replace(opener.timing, housekeeping=1e9))
    await log.ensure_topics([events_spec("demo", 1)])
    publisher = await log.publisher()
    path = directory.database(LogFile.EVENTS)
    for n in range(12):
        await publisher.publish(TOPIC, 0, [message(b"%x" % n * MB)])

    def look() -> None:
        connection = connect(path, durable=False)
        timeout = connection.execute("PRAGMA busy_timeout").fetchone()
        Checkpointer(connection, path).look()
        assert connection.execute("SELECT begun FROM checkpoints").fetchone() == (2,)
        assert connection.execute("PRAGMA busy_timeout").fetchone() == timeout
        connection.close()

    await asyncio.to_thread(look)
    wal = path.with_name("events.db-wal")
    size = wal.stat().st_size
    await publisher.publish(TOPIC, 0, [message(b"c" * MB)])
    assert wal.stat().st_size == size, "the log began anew"
    assert [value and value[:1] for value in await values(log, TOPIC)] == [b"%x" % n for n in range(13)]


def test_no_connection_checkpoints_by_itself(directory: DataDirectory) -> None:
    create_files(directory)
    connection = connect(directory.database(LogFile.EVENTS))
    assert connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)
    connection.close()
