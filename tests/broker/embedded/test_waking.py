"""Readers in other brokers are woken; what cannot be told they find by themselves."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from broker.embedded.directory import DataDirectory, LogFile
from broker.embedded.wake import EVERYTHING, GROUPS, WakeReceiver, WakeSender, is_dead, mark
from broker.interface import TopicPartition, Unavailable
from schemas.topics import events_spec
from tests.broker.log_contents import message, numbered
from tests.broker.member import Member
from tests.broker.test_reading import reading
from tests.broker.waiting import DEADLINE, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from pathlib import Path

    from tests.broker.embedded.opening import Opener

TOPIC = "ecommerce.events.demo"
NEVER = 1e6


@pytest.fixture
def heard() -> list[Collection[int]]:
    return []


@pytest.fixture
async def receiver(tmp_path: Path, heard: list[Collection[int]]) -> AsyncIterator[WakeReceiver]:
    receiver = WakeReceiver(tmp_path, asyncio.get_running_loop(), heard.append)
    await asyncio.to_thread(receiver.make)
    receiver.watch()
    yield receiver
    receiver.ignore()
    await asyncio.to_thread(receiver.remove)


@pytest.mark.usefixtures("receiver")
async def test_marks_arrive(tmp_path: Path, heard: list[Collection[int]]) -> None:
    sender = WakeSender(tmp_path)
    await asyncio.to_thread(sender.tell, [mark(LogFile.EVENTS, 3), mark(LogFile.EXPORTS, 3), GROUPS, GROUPS])
    await eventually(lambda: heard, "woken")
    assert heard == [{6, 7, GROUPS}]
    sender.close()


@pytest.mark.usefixtures("receiver")
async def test_more_marks_than_fit_are_one(tmp_path: Path, heard: list[Collection[int]]) -> None:
    sender = WakeSender(tmp_path)
    await asyncio.to_thread(sender.tell, [*range(1_000), GROUPS])
    await eventually(lambda: heard, "woken")
    assert heard == [{EVERYTHING, GROUPS}]
    sender.close()


async def test_who_is_too_slow_to_be_told_looks_everywhere(tmp_path: Path, heard: list[Collection[int]]) -> None:
    receiver = WakeReceiver(tmp_path, asyncio.get_running_loop(), heard.append)
    sender = WakeSender(tmp_path)

    def overflow() -> None:
        receiver.make()
        for _ in range(2_000):
            sender.tell(range(60))

    await asyncio.to_thread(overflow)
    receiver.watch()
    await eventually(lambda: heard, "woken")
    assert {EVERYTHING, GROUPS} <= set().union(*heard)
    receiver.ignore()
    await asyncio.to_thread(receiver.remove)
    sender.close()


async def test_a_fifo_without_a_reader_is_a_dead_process(tmp_path: Path, receiver: WakeReceiver) -> None:
    def look() -> list[bool]:
        os.mkfifo(tmp_path / "left-behind.fifo")
        return [is_dead(tmp_path, name) for name in (receiver.name, "left-behind.fifo", "never-was.fifo")]

    assert await asyncio.to_thread(look) == [False, True, False]


async def test_telling_nobody_and_nowhere_is_no_error(tmp_path: Path, receiver: WakeReceiver) -> None:
    gone = tmp_path / "gone"
    sender = WakeSender(gone)
    await asyncio.to_thread(sender.tell, [1])
    assert not gone.exists()
    assert receiver.name.endswith(".fifo")


async def test_readers_do_not_wait_for_their_safety_check(opener: Opener) -> None:
    lazy = replace(opener.timing, safety_check=NEVER)
    writing, watching = await opener.open(timing=lazy), await opener.open(timing=lazy)
    await writing.ensure_topics([events_spec("demo", 2)])
    member = await Member().start(watching, "group", TOPIC)
    await member.until_owned(2)
    publisher = await writing.publisher()
    async with (
        asyncio.timeout(DEADLINE),
        aclosing(reading(watching, TOPIC, from_beginning=True, follow=True)) as following,
    ):
        for n in range(50):
            await publisher.publish(TOPIC, n % 2, [message(b"%d" % n)])
            assert (await anext(following)).value == b"%d" % n
            await member.until_read(n + 1)
    assert member.values(TopicPartition(TOPIC, 0)) == [b"%d" % n for n in range(0, 50, 2)]
    await member.stop()


async def test_whom_nobody_wakes_finds_out_all_the_same(
    opener: Opener, directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WakeSender, "tell", lambda self, marks: None)  # noqa: ARG005  # it says nothing
    log = await opener.open(timing=replace(opener.timing, safety_check=0.1))
    await log.ensure_topics([events_spec("demo", 1)])
    member = await Member().start(log, "group", TOPIC)
    await member.until_owned(1)
    publisher = await log.publisher()
    for n in range(3):
        await publisher.publish(TOPIC, 0, numbered(n, 1))
        await member.until_read(n + 1)
    other = await Member().start(await opener.open(), "group", TOPIC)
    await member.stop()
    await other.until_owned(1)
    await other.stop()
    assert directory.wake.exists()


async def test_whoever_follows_a_log_that_is_closed_is_told(opener: Opener) -> None:
    log = await opener.open()
    await log.ensure_topics([events_spec("demo", 1)])
    following = reading(log, TOPIC, from_beginning=True, follow=True)
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0.1)
    await log.close()
    with pytest.raises(Unavailable):
        await waiting
    with pytest.raises(Unavailable, match="is not open"):
        await log.partitions(TOPIC)
    await log.close()


async def test_waking_takes_microseconds(opener: Opener) -> None:
    log = await opener.open()
    await log.ensure_topics([events_spec("demo", 1)])
    members = [await Member().start(await opener.open(), f"group-{n}", TOPIC) for n in range(3)]
    for member in members:
        await member.until_owned(1)
    sender = log._parts.sender

    def tell() -> float:
        began = time.perf_counter()
        for _ in range(100):
            sender.tell((GROUPS,))
        return (time.perf_counter() - began) / 100

    # Far above what it takes, far below what would hold up a group commit.
    assert await asyncio.to_thread(tell) < 0.01
    for member in members:
        await member.stop()
