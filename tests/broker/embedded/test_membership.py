"""Sessions: who is taken for gone, and who is not."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from broker.embedded.directory import LogFile
from broker.embedded.offsets import Place, places
from broker.embedded.timing import Timing
from broker.interface import Commit, Fenced, TopicPartition, UnknownTopic
from schemas.topics import events_spec
from tests.broker.log_contents import numbered
from tests.broker.member import Member, Step, never_shared
from tests.broker.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from broker.embedded.broker import EmbeddedBroker
    from broker.embedded.directory import DataDirectory
    from tests.broker.embedded.opening import Opener

TOPIC = "ecommerce.events.demo"


@pytest.fixture
async def log(opener: Opener) -> EmbeddedBroker:
    log = await opener.open()
    await log.ensure_topics([events_spec("demo", 2)])
    return log


@pytest.mark.usefixtures("log")
async def test_a_busy_event_loop_loses_nothing(opener: Opener) -> None:
    patient = replace(opener.timing, session_timeout=1.5)
    member = await Member("a").start(await opener.open(timing=patient), "group", TOPIC)
    await member.until_owned(2)
    other = await Member("b").start(await opener.open(timing=patient), "another group", TOPIC)
    await other.until_owned(2)
    # Nothing in this process can run meanwhile but threads.
    time.sleep(1.0)  # noqa: ASYNC251  # which is what is tested
    await member.until_polled()
    assert [step.kind for step in member.history] == ["assigned", "assigned"]
    await member.subscription.commit({TopicPartition(TOPIC, 0): Commit(0, "still mine")})
    for each in (member, other):
        await each.stop()


async def test_who_does_not_poll_is_replaced_and_may_come_back(opener: Opener, log: EmbeddedBroker) -> None:
    publisher = await log.publisher()
    await publisher.publish(TOPIC, 0, numbered(0, 10))
    impatient = replace(opener.timing, poll_timeout=0.2)
    fenced: list[bool] = []
    lazy = Member("lazy")

    async def commit_late(partitions: Collection[TopicPartition]) -> None:
        with pytest.raises(Fenced):
            await lazy.subscription.commit(dict.fromkeys(partitions, Commit(3, "late")))
        fenced.append(True)

    lazy.on_revoked = commit_late
    await lazy.start(await opener.open(timing=impatient), "group", TOPIC)
    await lazy.until_owned(2)
    await lazy.stop_polling()
    eager = await Member("eager").start(log, "group", TOPIC)
    await eager.until_owned(2)
    await eager.until_read(10)
    await eager.subscription.commit({TopicPartition(TOPIC, 0): Commit(10, "mine")})
    assert lazy.subscription.held_until() < time.monotonic() < eager.subscription.held_until()
    got = await lazy.subscription.poll(0.05)
    while not fenced:
        got = await lazy.subscription.poll(0.05)
        assert not got, "what is another's must not be given out any more"
    lazy.on_revoked = None
    while len(lazy.owned) != 1:
        await lazy.subscription.poll(0.05)
    assert lazy.subscription.held_until() > time.monotonic()
    await eager.until_owned(1)
    assert (await log.committed("group", [TOPIC]))[TopicPartition(TOPIC, 0)] == Commit(10, "mine")
    await lazy.stop()
    await eager.stop()


async def test_who_cannot_show_life_holds_nothing_when_the_session_is_over(
    opener: Opener, log: EmbeddedBroker, directory: DataDirectory
) -> None:
    member = await Member().start(log, "group", TOPIC)
    await member.until_owned(2)
    await member.stop_polling()
    held_until = member.subscription.held_until
    lock = sqlite3.connect(directory.database(LogFile.EVENTS), isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    last = held_until()
    assert time.monotonic() < last <= time.monotonic() + opener.timing.session_timeout
    await eventually(lambda: time.monotonic() > last, "the end of the session")
    # One heartbeat may have been under way.
    await eventually(lambda: held_until() < time.monotonic(), "nothing is held")
    lock.execute("ROLLBACK")
    lock.close()
    await eventually(lambda: held_until() > time.monotonic(), "nobody took it meanwhile: it is held again")
    await member.subscription.close()


async def test_while_its_listener_works_a_member_is_waited_for(opener: Opener, log: EmbeddedBroker) -> None:
    history: list[Step] = []
    slow, quick = Member("slow", history), Member("quick", history)
    finished = asyncio.Event()

    async def finish(_: Collection[TopicPartition]) -> None:
        await asyncio.sleep(2 * opener.timing.session_timeout)
        finished.set()

    slow.on_revoked = finish
    impatient = replace(opener.timing, poll_timeout=0.1)
    await slow.start(await opener.open(timing=impatient), "group", TOPIC)
    await slow.until_owned(2)
    await quick.start(log, "group", TOPIC)
    await quick.until_polled(5)
    assert not quick.owned
    await quick.until_owned(1)
    assert finished.is_set()
    assert never_shared(history)
    slow.on_revoked = None
    await slow.stop()
    await quick.stop()


async def test_a_listener_that_never_ends_is_not_waited_for(opener: Opener, log: EmbeddedBroker) -> None:
    stuck, quick = Member("stuck"), Member("quick")
    release = asyncio.Event()

    async def hang(_: Collection[TopicPartition]) -> None:
        await release.wait()

    stuck.on_revoked = hang
    await stuck.start(await opener.open(timing=replace(opener.timing, rebalance_timeout=0.2)), "group", TOPIC)
    await stuck.until_owned(2)
    await quick.start(log, "group", TOPIC)
    await quick.until_owned(2)
    stuck.on_revoked = None
    release.set()
    await stuck.until_owned(1)
    await quick.until_owned(1)
    await stuck.stop()
    await quick.stop()


async def test_an_unknown_topic_cannot_be_joined(log: EmbeddedBroker) -> None:
    with pytest.raises(UnknownTopic, match=r"ecommerce\.events\.nowhere"):
        await log.subscribe("group", [TOPIC, "ecommerce.events.nowhere"], Member())


async def test_members_of_a_group_may_want_different_topics(opener: Opener, log: EmbeddedBroker) -> None:
    await log.ensure_topics([events_spec("other", 4)])
    one = await Member("one").start(log, "group", TOPIC, "ecommerce.events.other")
    await one.until_owned(6)
    two = await Member("two").start(await opener.open(), "group", "ecommerce.events.other")
    await two.until_owned(2)
    await one.until_owned(4)
    assert {partition.topic for partition in two.owned} == {"ecommerce.events.other"}
    await one.stop()
    await eventually(lambda: len(two.owned) == 4, "all of what it wants, and nothing else")
    await two.stop()


async def test_metadata_too_long_is_refused(log: EmbeddedBroker) -> None:
    member = await Member().start(log, "group", TOPIC)
    await member.until_owned(2)
    with pytest.raises(ValueError, match="longer than 4000 bytes"):
        await member.subscription.commit({TopicPartition(TOPIC, 0): Commit(0, "ä" * 2_001)})
    await member.stop()


async def test_a_lease_that_could_not_be_announced_is_not_forgotten(
    log: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []

    def fails_at_first(connection: sqlite3.Connection, group: str, topics: Sequence[int]) -> dict[int, Place]:
        calls.append(None)
        if len(calls) < 3:
            raise sqlite3.OperationalError("disk I/O error")
        return places(connection, group, topics)

    monkeypatch.setattr("broker.embedded.membership.places", fails_at_first)
    member = await Member().start(log, "group", TOPIC)
    await member.until_owned(2)
    assert len(calls) == 3
    await member.stop()


def test_the_default_times_leave_room_for_a_missed_heartbeat() -> None:
    timing = Timing()
    assert timing.heartbeat * 3 < timing.session_timeout < timing.poll_timeout < timing.rebalance_timeout


async def test_members_come_and_go_at_random_and_nothing_is_lost_or_shared(opener: Opener, log: EmbeddedBroker) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    chance = random.Random(seed)  # noqa: S311  # who comes and goes is no secret
    topics = [events_spec(f"shop-{n}", 3) for n in range(3)]
    names = [spec.name for spec in topics]
    await log.ensure_topics(topics)
    publisher = await log.publisher()
    history: list[Step] = []
    members: list[Member] = []
    gone: list[Member] = []
    for turn in range(25):
        for name in names:
            await publisher.publish(name, turn % 3, numbered(turn, 1))
        if members and (len(members) > 4 or chance.random() < 0.4):
            gone.append(members.pop(chance.randrange(len(members))))
            await gone[-1].stop()
        else:
            member = Member(str(turn), history)
            member.on_revoked = member.commit_read
            members.append(await member.start(await opener.open(), "group", *names))
        await asyncio.sleep(chance.choice((0, 0.02, 0.1)))
    while len(members) > 1:
        gone.append(members.pop())
        await gone[-1].stop()
    if not members:
        members.append(await Member("last", history).start(log, "group", *names))
    (last,) = members
    await last.until_owned(9)
    partitions = [TopicPartition(name, n) for name in names for n in range(3)]

    def read(partition: TopicPartition) -> set[bytes | None]:
        return {value for member in [*gone, last] for value in member.values(partition)}

    await eventually(
        lambda: all(read(p) == {b"%d" % turn for turn in range(p.partition, 25, 3)} for p in partitions),
        f"every record was read; seed {seed}",
    )
    assert never_shared(history), f"seed {seed}"
    await last.stop()
