"""What locks a file is one statement: a process whose event loop is busy must not keep the lock while its threads wait for their turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.embedded.directory import LogFile
from broker.interface import Commit
from schemas.topics import FORWARDER_GROUP, events_spec
from tests.broker.embedded.opening import writer_of
from tests.broker.log_contents import message
from tests.broker.member import Member

if TYPE_CHECKING:
    import sqlite3

    from tests.broker.embedded.opening import Opener

TOPIC = "ecommerce.events.demo"
PARTITIONS = 12


async def test_appends_and_commits_lock_the_file_for_one_statement(opener: Opener) -> None:
    log = await opener.open()
    await log.ensure_topics([events_spec("demo", PARTITIONS)])
    member = await Member().start(log, FORWARDER_GROUP, TOPIC)
    await member.until_owned(PARTITIONS)
    writer, statements = writer_of(log, LogFile.EVENTS), list[str]()

    def listen(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(statements.append)

    await writer.submit(listen)
    publisher = await log.publisher()
    await asyncio.gather(*(publisher.publish(TOPIC, n % PARTITIONS, [message(b"x")] * 20) for n in range(48)))
    await member.until_read(960)
    await member.subscription.commit(dict.fromkeys(member.owned, Commit(80, "tally")))
    await writer.submit(lambda connection: connection.set_trace_callback(None))
    # A statement is told of again for each one in its triggers.
    commits = {statement for statement in statements if statement.startswith("INSERT INTO offsets")}
    appends = {statement for statement in statements if statement.startswith("INSERT INTO appends")}
    assert len(commits) == 1
    assert 1 <= len(appends) <= 48
    assert commits | appends == set(statements), "no BEGIN, no COMMIT, nothing in between"
    await member.stop()
