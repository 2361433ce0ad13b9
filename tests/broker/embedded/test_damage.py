"""A disk that gives back other bytes than it was given."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest

from broker.embedded.directory import LogFile
from broker.interface import TopicPartition, Unavailable
from schemas.topics import events_spec
from tests.broker.log_contents import numbered
from tests.broker.member import Member

if TYPE_CHECKING:
    from broker.embedded.broker import EmbeddedBroker
    from broker.embedded.directory import DataDirectory
    from tests.broker.embedded.opening import Opener

TOPIC = "ecommerce.events.demo"
CHUNKS = 3


async def written(log: EmbeddedBroker, directory: DataDirectory) -> None:
    """Three chunks of two records each, of which one byte in the middle one is not what was written."""
    await log.ensure_topics([events_spec("demo", 1)])
    publisher = await log.publisher()
    for n in range(CHUNKS):
        await publisher.publish(TOPIC, 0, numbered(2 * n, 2))
    await asyncio.to_thread(change_a_byte, directory)


def change_a_byte(directory: DataDirectory) -> None:
    connection = sqlite3.connect(directory.database(LogFile.of(TOPIC)), isolation_level=None)
    chunks = connection.execute("SELECT position, records FROM chunks ORDER BY position").fetchall()
    assert len(chunks) == CHUNKS
    position, records = chunks[1]
    changed = records[:-1] + bytes([records[-1] ^ 1])
    connection.execute("UPDATE chunks SET records = ? WHERE position = ?", (changed, position))
    connection.close()


async def test_nothing_is_read_past_it(opener: Opener, directory: DataDirectory) -> None:
    log = await opener.open()
    await written(log, directory)
    with pytest.raises(Unavailable, match=f"a chunk is damaged: {TOPIC}/0, offset 2: the checksum does not fit"):
        _ = [record async for record in log.read(TOPIC)]


async def test_what_is_whole_is_read_where_that_was_asked_for(
    opener: Opener, directory: DataDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    log = await opener.open(skip_damaged=True)
    await written(log, directory)
    assert [record.offset async for record in log.read(TOPIC)] == [0, 1, 4, 5]
    member = await Member().start(log, "group", TOPIC)
    await member.until_read(4)
    assert member.values(TopicPartition(TOPIC, 0)) == [b"0", b"1", b"4", b"5"]
    await member.stop()
    told = capsys.readouterr().err.splitlines()
    assert all("first_offset=2 lost_records=2 event='log damaged' level='error'" in line for line in told)
    assert len(told) == 2, "once for each who reads"
