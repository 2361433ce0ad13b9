"""Several processes on one data directory, some of which die."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import time
from typing import TYPE_CHECKING

from broker.embedded.directory import LogFile
from broker.interface import Commit, TopicPartition
from schemas.topics import events_spec
from tests.broker.embedded.process import OtherProcess
from tests.broker.log_contents import contents, numbered
from tests.broker.member import Member
from tests.broker.waiting import eventually

if TYPE_CHECKING:
    from broker.embedded.directory import DataDirectory
    from tests.broker.embedded.opening import Opener

PUBLISHING = "tests.broker.embedded.publishing"
JOINED = "tests.broker.embedded.joined"
TOPIC = "ecommerce.events.demo"


async def stop_outside_of_transactions(process: OtherProcess, directory: DataDirectory) -> None:
    """Stop a process, but not while it holds the file locked: that would stop all others too."""

    def is_free() -> bool:
        connection = sqlite3.connect(directory.database(LogFile.EVENTS), timeout=0.2, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
        finally:
            connection.close()
        return True

    process.send(signal.SIGSTOP)
    while not await asyncio.to_thread(is_free):
        process.send(signal.SIGCONT)
        process.send(signal.SIGSTOP)


async def test_what_a_killed_process_was_acknowledged_is_in_the_log(opener: Opener, directory: DataDirectory) -> None:
    broker = await opener.open()
    await broker.ensure_topics([events_spec("demo", 3)])
    seed = random.SystemRandom().randrange(1 << 32)
    pause = random.Random(seed)  # noqa: S311  # when to kill is no secret
    acknowledged: list[int] = []
    first = 0
    for _ in range(4):
        async with OtherProcess(PUBLISHING, directory.root, TOPIC, 3, first) as publishing:
            acknowledged.append(int(await publishing.line()))
            await asyncio.sleep(pause.uniform(0, 0.3))
            await publishing.kill()
            acknowledged += [int(line) for line in await publishing.rest() if line]
        first += 3_000_000
    for partition in range(3):
        records = await contents(broker, TOPIC, partition)
        assert [record.offset for record in records] == list(range(len(records))), f"a gap; seed {seed}"
        numbers = [int(record.value or b"") for record in records]
        assert numbers == sorted(set(numbers)), f"out of order or twice; seed {seed}"
        lives: dict[int, list[int]] = {}
        for number in numbers:
            lives.setdefault(number // 3_000_000, []).append(number)
        for life, seen in lives.items():
            begin = life * 3_000_000 + partition
            assert seen == list(range(begin, begin + 3 * len(seen), 3)), f"one is missing; seed {seed}"
        missing = {number for number in acknowledged if number % 3 == partition} - set(numbers)
        assert not missing, f"acknowledged and gone: {sorted(missing)[:5]}; seed {seed}"
    assert len(acknowledged) >= 4
    for file in LogFile:
        with sqlite3.connect(directory.database(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


async def test_two_processes_publish_to_one_partition_while_a_third_reads(
    opener: Opener, directory: DataDirectory
) -> None:
    broker = await opener.open()
    await broker.ensure_topics([events_spec("demo", 1)])
    member = await Member().start(broker, "group", TOPIC)
    async with (
        OtherProcess(PUBLISHING, directory.root, TOPIC, 1, 0) as one,
        OtherProcess(PUBLISHING, directory.root, TOPIC, 1, 1_000_000) as two,
    ):
        await one.line()
        await two.line()
        await member.until_read(2_000)
    end = (await broker.log_ranges([TOPIC]))[TopicPartition(TOPIC, 0)].end
    await member.until_read(end)
    records = member.records[TopicPartition(TOPIC, 0)]
    assert [record.offset for record in records] == list(range(end))
    for low in (0, 1_000_000):
        numbers = [n for n in (int(record.value or b"") for record in records) if low <= n < low + 1_000_000]
        assert numbers == list(range(low, low + len(numbers)))
        assert numbers
    await member.stop()


async def test_a_killed_members_partitions_are_taken_over_before_its_session_ends(
    opener: Opener, directory: DataDirectory
) -> None:
    broker = await opener.open()
    await broker.ensure_topics([events_spec("demo", 4)])
    async with OtherProcess(JOINED, directory.root, "group", TOPIC) as other:
        await other.until("assigned 4")
        await other.kill()
    began = time.monotonic()
    member = await Member().start(broker, "group", TOPIC)
    await member.until_owned(4)
    assert time.monotonic() - began < opener.timing.session_timeout
    await member.stop()


async def test_a_stopped_member_loses_its_partitions_and_cannot_commit_them(
    opener: Opener, directory: DataDirectory
) -> None:
    broker = await opener.open()
    await broker.ensure_topics([events_spec("demo", 2)])
    publisher = await broker.publisher()
    for partition in range(2):
        await publisher.publish(TOPIC, partition, numbered(0, 10))
    async with OtherProcess(JOINED, directory.root, "group", TOPIC) as other:
        await other.until("assigned 2")
        await stop_outside_of_transactions(other, directory)
        member = await Member().start(broker, "group", TOPIC)
        await member.until_owned(2)
        await member.until_read(20)
        await member.subscription.commit(dict.fromkeys(member.owned, Commit(10, "mine")))
        other.send(signal.SIGCONT)
        await other.until("fenced 2")
        await other.until("assigned 1")
        await member.until_owned(1)
        assert set((await broker.committed("group", [TOPIC])).values()) == {Commit(10, "mine")}
        await other.kill()
        await member.until_owned(2)
    await member.stop()


async def test_what_dead_processes_left_in_the_wake_directory_is_swept_in_time(
    opener: Opener, directory: DataDirectory
) -> None:
    broker = await opener.open()
    await broker.ensure_topics([events_spec("demo", 1)])
    async with OtherProcess(JOINED, directory.root, "group", TOPIC) as other:
        await other.until("assigned 1")
    (fifo,) = directory.wake.iterdir()
    publisher = await broker.publisher()
    await publisher.publish(TOPIC, 0, numbered(0, 1))
    assert fifo.exists(), "others may want to know first whether its process is dead"
    os.utime(fifo, (0, 0))
    (directory.wake / "anything").touch()
    await publisher.publish(TOPIC, 0, numbered(1, 1))
    await eventually(lambda: not fifo.exists(), "the dead process's FIFO is gone")
