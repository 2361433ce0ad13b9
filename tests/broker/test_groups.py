"""Contract: consumer groups. Who owns what, who is told, and what it takes over."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from broker.interface import Commit, Fenced, TopicPartition
from tests.broker.log_contents import message, numbered
from tests.broker.member import Member, Step, never_shared, one_each
from tests.broker.waiting import DEADLINE, eventually

if TYPE_CHECKING:
    from collections.abc import Collection

    from broker.interface import Broker
    from tests.broker.backend import Backend

LONGEST_SESSION = 6.0


async def test_two_members_share_the_partitions_evenly(backend: Backend, broker: Broker) -> None:
    topics = [await backend.topic(broker, 4), await backend.topic(broker, 4)]
    group, history = backend.group(), list[Step]()
    a = await Member("a", history).start(broker, group, *topics)
    await a.until_owned(8)
    b = await Member("b", history).start(await backend.open(), group, *topics)
    await b.until_owned(4)
    await eventually(lambda: one_each([a, b], 8), "every partition owned once")
    for topic in topics:
        assert sum(partition.topic == topic for partition in a.owned) == 2
    assert a.subscription.assignment == frozenset(a.owned)
    assert b.subscription.assignment == frozenset(b.owned)
    assert never_shared(history)
    await a.stop()
    await b.until_owned(8)
    await b.stop()
    assert never_shared(history)


async def test_members_are_counted(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker, 2), backend.group()
    assert await broker.members(group) == 0
    members = [await Member(name).start(await backend.open(), group, topic) for name in "ab"]
    await eventually(lambda: one_each(members, 2), "every partition owned once")
    await until_counted(broker, group, 2)
    for left, member in enumerate(members):
        await member.stop()
        await until_counted(broker, group, 1 - left)


async def until_counted(broker: Broker, group: str, count: int) -> None:
    """Wait until a group has so many members: one whose heart is late, on a busy machine, is none for a moment."""
    async with asyncio.timeout(DEADLINE):
        while await broker.members(group) != count:  # noqa: ASYNC110 - the members live elsewhere, and tell nobody
            await asyncio.sleep(0.05)


async def test_three_members_come_and_go(backend: Backend, broker: Broker) -> None:
    topic = await backend.topic(broker, 6)
    group, history = backend.group(), list[Step]()
    members = [await Member(name, history).start(await backend.open(), group, topic) for name in "abc"]
    await eventually(lambda: [len(member.owned) for member in members] == [2, 2, 2], "two partitions each")
    await members.pop(0).stop()
    await eventually(lambda: [len(member.owned) for member in members] == [3, 3], "three partitions each")
    members.append(await Member("d", history).start(broker, group, topic))
    await eventually(lambda: [len(member.owned) for member in members] == [2, 2, 2], "two partitions each again")
    assert one_each(members, 6)
    for member in members:
        await member.stop()
    assert never_shared(history)
    assert all(not member.owned for member in members)


async def test_more_members_than_partitions(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker), backend.group()
    members = [await Member(name).start(await backend.open(), group, topic) for name in "ab"]
    await eventually(lambda: one_each(members, 1), "one owner")
    owner, idle = sorted(members, key=lambda member: -len(member.owned))
    await idle.until_polled()
    await owner.stop()
    await idle.until_owned(1)
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, numbered(0, 3))
    await idle.until_read(3)
    assert idle.values(TopicPartition(topic, 0)) == [b"0", b"1", b"2"]
    await idle.stop()


async def test_what_is_committed_while_being_revoked_is_where_the_next_owner_begins(
    backend: Backend, broker: Broker
) -> None:
    topic, group = await backend.topic(broker, 4), backend.group()
    publisher = await broker.publisher()
    for n in range(4):
        await publisher.publish(topic, n, numbered(100 * n, 50))
    a = Member("a")
    a.on_revoked = a.commit_read
    await a.start(broker, group, topic)
    await a.until_read(200)
    b = Member("b")
    b.on_revoked = b.commit_read
    await b.start(await backend.open(), group, topic)
    await b.until_owned(2)
    await eventually(lambda: one_each([a, b], 4), "every partition owned once")
    assert [owned.commit for owned in b.owned.values()] == [Commit(50, "")] * 2
    for n in range(4):
        await publisher.publish(topic, n, numbered(100 * n + 50, 50))
    await eventually(lambda: a.total() + b.total() == 400, "every record read once")
    for n in range(4):
        partition = TopicPartition(topic, n)
        read = a.values(partition) + b.values(partition)
        assert read == [b"%d" % value for value in range(100 * n, 100 * n + 100)]
    await a.stop()
    await b.stop()
    standing = await broker.committed(group, [topic])
    assert list(standing.values()) == [Commit(100, "")] * 4


async def test_a_partition_that_went_to_another_cannot_be_committed(backend: Backend, broker: Broker) -> None:
    topic, group = await backend.topic(broker, 2), backend.group()
    publisher = await broker.publisher()
    for n in range(2):
        await publisher.publish(topic, n, numbered(0, 10))
    a = await Member("a").start(broker, group, topic)
    await a.until_read(20)
    b = await Member("b").start(await backend.open(), group, topic)
    await b.until_owned(1)
    await a.until_owned(1)
    (gone,) = b.owned
    with pytest.raises(Fenced):
        await a.subscription.commit({gone: Commit(7, "mine")})
    assert (await broker.committed(group, [topic]))[gone] is None
    await b.subscription.commit({gone: Commit(3, "theirs")})
    assert (await broker.committed(group, [topic]))[gone] == Commit(3, "theirs")
    await a.stop()
    await b.stop()


async def test_what_was_never_owned_cannot_be_committed(backend: Backend, broker: Broker) -> None:
    topic, other, group = await backend.topic(broker), await backend.topic(broker), backend.group()
    member = await Member().start(broker, group, topic)
    await member.until_owned(1)
    with pytest.raises(Fenced):
        await member.subscription.commit({TopicPartition(other, 0): Commit(0, "")})
    await member.stop()
    assert (await broker.committed(group, [other]))[TopicPartition(other, 0)] is None


async def test_closing_tells_the_owner_and_takes_its_last_commit(backend: Backend, broker: Broker) -> None:
    topic, group, history = await backend.topic(broker, 2), backend.group(), list[Step]()
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, numbered(0, 5))
    member = Member("a", history)
    member.on_revoked = member.commit_read
    await member.start(broker, group, topic)
    await member.until_read(5)
    await member.stop()
    await member.subscription.close()
    assert [step.kind for step in history] == ["assigned", "assigned", "revoked", "revoked"]
    assert member.subscription.assignment == frozenset()
    assert (await broker.committed(group, [topic]))[TopicPartition(topic, 0)] == Commit(5, "")


async def test_every_heartbeat_holds_what_is_owned_a_session_longer_until_it_is_closed(
    backend: Backend, broker: Broker
) -> None:
    member = await Member().start(broker, backend.group(), await backend.topic(broker))
    await member.until_owned(1)
    # Heartbeats do not wait for polls.
    await member.stop_polling()
    held_until = member.subscription.held_until
    await eventually(lambda: held_until() > time.monotonic(), "what is owned is held")
    before = held_until()
    await eventually(lambda: held_until() > before, "a heartbeat")
    assert time.monotonic() < held_until() <= time.monotonic() + LONGEST_SESSION
    await member.subscription.close()
    assert held_until() < time.monotonic()


@pytest.mark.parametrize("when", ["assigned", "revoked"])
async def test_an_error_of_the_listener_comes_out_of_poll(backend: Backend, broker: Broker, when: str) -> None:
    class Faulty(Member):
        async def assigned(self, assignments: object) -> None:
            del assignments
            if when == "assigned":
                raise ZeroDivisionError

        async def revoked(self, partitions: Collection[TopicPartition]) -> None:
            del partitions
            if when == "revoked":
                raise ZeroDivisionError

    topic, group = await backend.topic(broker, 2), backend.group()
    subscription = await broker.subscribe(group, [topic], Faulty())
    other = Member("other")

    async def poll_on() -> None:
        while True:
            await subscription.poll(0.1)
            if len(subscription.assignment) == 2 and when == "revoked" and not joined:
                joined.append(await other.start(await backend.open(), group, topic))

    joined: list[Member] = []
    async with asyncio.timeout(60):
        with pytest.raises(ZeroDivisionError):
            await poll_on()
    if joined:
        await joined[0].until_owned(1)
        await joined[0].stop()
    # The second time, in `close`, the error has nobody to go to who could do anything about it.
    await subscription.close()


async def test_members_of_other_groups_and_topics_do_not_disturb(backend: Backend, broker: Broker) -> None:
    topic, other, group = await backend.topic(broker, 2), await backend.topic(broker, 2), backend.group()
    publisher = await broker.publisher()
    await publisher.publish(topic, 0, [message(b"x")])
    a = await Member("a").start(broker, group, topic)
    b = await Member("b").start(broker, backend.group(), topic)
    c = await Member("c").start(broker, group, other)
    for member in (a, b, c):
        await member.until_owned(2)
    await a.until_read(1)
    await b.until_read(1)
    assert {partition.topic for partition in c.owned} == {other}
    for member in (a, b, c):
        await member.stop()
