"""What an acknowledgement counts for that comes after its partition was lost: nothing, also when the partition came back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from broker.interface import Assignment, Commit, LogRange, TopicPartition
from consumers import assignments as module
from consumers.assignments import Assignments
from consumers.offsets.memory import Remembered, beside
from consumers.offsets.tally import Tally
from consumers.offsets.tracker import DELIVERED
from runtime.clock import SystemClock
from tests.chance import seeded
from tests.consumers.group import Group
from tests.consumers.records import Read, read, record
from tests.consumers.shop import event, make_process, open_shop
from tests.consumers.sink import OK, Say, Sink, sinking, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


TOPIC = "ecommerce.events.acme"
FIRST, SECOND = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with sinking() as sink:
        yield sink


def owned(partition: TopicPartition, position: int = 0) -> Assignment:
    commit = Commit(position, Tally(0, delivered=position).encode()) if position else None
    return Assignment(partition, position, commit, LogRange(0, 10))


def named(name: str, partition: TopicPartition, offset: int) -> Read:
    return record(offset, name[0].encode(), event(name), partition=partition.partition)


async def test_a_late_acknowledgement_is_none_of_the_next_assignment(sink: Sink) -> None:
    process, _ = make_process(SystemClock())
    async with open_shop(sink) as shop:
        assignments, group = Assignments({TOPIC: shop.route}, process.log), Group()
        assignments.use(group)
        await assignments.assigned([owned(FIRST), owned(SECOND)])
        shop.route.add(1, [named("b1", SECOND, 0)])
        shop.route.pump()
        await until(lambda: assignments.trackers[SECOND].finished == 1 and shop.idle)
        late, again = asyncio.Event(), asyncio.Event()
        sink.say(Say(200, {"ok": True}, after=late), Say(200, {"ok": True}, after=again))
        shop.route.add(0, [named("a1", FIRST, 0)])
        shop.route.add(1, [named("b2", SECOND, 1)])
        shop.route.pump()
        await until(lambda: sink.names == [["b1"], ["a1", "b2"]])

        group.others = {SECOND}
        await assignments.commit()
        assert assignments.trackers.keys() == {FIRST}
        group.others = set()
        await assignments.assigned([owned(SECOND)])
        regained = assignments.trackers[SECOND]
        shop.route.add(1, [named("b1", SECOND, 0), named("b2", SECOND, 1)])
        shop.route.pump()

        late.set()
        await until(lambda: sink.names[2:] == [["b1", "b2"]])
        assert assignments.trackers[FIRST].finished == 1
        assert regained.commit() is None
        await assignments.commit()
        assert group.committed == {FIRST: Commit(1, Tally(0, delivered=1).encode())}
        again.set()
        await until(lambda: regained.finished == 2)
        await assignments.commit()
        assert group.committed[SECOND] == Commit(2, Tally(0, delivered=2).encode())


async def test_what_does_not_come_back_in_time_is_abandoned_and_never_committed(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REVOKE_SECONDS", 0.05)
    process, _ = make_process(SystemClock())
    async with open_shop(sink, max_batch_events=1) as shop:
        assignments, group = Assignments({TOPIC: shop.route}, process.log), Group()
        assignments.use(group)
        await assignments.assigned([owned(FIRST)])
        late = asyncio.Event()
        sink.answer = lambda got: Say(200, {"ok": True}, after=late if got.names == ["b1"] else None)
        shop.route.add(0, [named("a1", FIRST, 0), named("b1", FIRST, 1), named("c1", FIRST, 2)])
        shop.route.pump()
        before = assignments.trackers[FIRST]
        await until(lambda: before.finished == 2)
        async with asyncio.timeout(5):
            await assignments.revoked([FIRST])
        assert group.committed == {FIRST: Commit(1, beside(1, Tally(0, 1), Remembered(b"\0\1")))}, (
            "b1 is not finished, and c1 is"
        )
        await assignments.assigned([owned(FIRST, 1)])
        late.set()
        await until(lambda: sink.open == 0)
        await assignments.commit()
        assert (before.finished, assignments.trackers[FIRST].finished) == (2, 1)
        assert group.committed[FIRST].offset == 1


async def test_the_next_owner_sends_nothing_again_that_was_finished_above_the_commit(sink: Sink) -> None:
    process, log = make_process(SystemClock())
    group = Group()
    records = [named(name, FIRST, offset) for offset, name in enumerate(("a1", "b1", "a2", "c1", "d1"))]
    sink.answer = lambda got: Say(500) if "a1" in got.names else OK
    async with open_shop(sink, max_batch_events=1) as first:
        assignments = Assignments({TOPIC: first.route}, process.log)
        assignments.use(group)
        await assignments.assigned([owned(FIRST)])
        first.route.add(0, records)
        first.route.pump()
        await until(lambda: assignments.trackers[FIRST].finished == 3)
        await assignments.commit()
        group.written = 0
        await assignments.commit()
        assert group.written == 0, "nothing has changed"
    assert group.committed[FIRST].offset == 0
    sink.answer = lambda _got: OK
    async with open_shop(sink, max_batch_events=5) as second:
        assignments = Assignments({TOPIC: second.route}, process.log)
        assignments.use(group)
        await assignments.assigned([Assignment(FIRST, 0, group.committed[FIRST], LogRange(0, 5))])
        [before, line] = [each for each in log if each["event"] == "partitions assigned"]
        assert (before["finished_above"], line["finished_above"]) == (0, 3)
        sent = len(sink.got)
        assert second.route.add(0, records) == 2
        second.route.pump()
        await until(lambda: assignments.trackers[FIRST].finished == 5)
        assert sink.names[sent:] == [["a1", "a2"]]
        await assignments.commit()
    assert group.committed[FIRST] == Commit(5, Tally(0, 5).encode())


async def test_what_is_finished_above_is_sent_again_when_it_cannot_be_read(sink: Sink) -> None:
    process, log = make_process(SystemClock())
    async with open_shop(sink) as shop:
        assignments = Assignments({TOPIC: shop.route}, process.log)
        damaged = Commit(1, beside(1, Tally(0, 1), Remembered(b"\0\1")).replace("[3,4]", "[3,1]"))
        await assignments.assigned([Assignment(FIRST, 1, damaged, LogRange(0, 10))])
        [line] = [each for each in log if each["log_level"] == "error"]
        assert (
            line["event"]
            == "what stands beside the committed offset cannot be read: what is finished above it is sent again"
        )
        assert shop.route.add(0, [named("b1", FIRST, 1), named("c1", FIRST, 2)]) == 2


async def test_what_stands_beside_a_thousand_offsets_is_one_commit_that_kafka_takes(sink: Sink) -> None:
    process, _ = make_process(SystemClock())
    async with open_shop(sink) as shop:
        assignments, group = Assignments({TOPIC: shop.route}, process.log), Group()
        assignments.use(group)
        chance = seeded(4)
        await assignments.assigned([owned(TopicPartition(TOPIC, number)) for number in range(1_000)])
        for tracker in assignments.trackers.values():
            records = [record(offset) for offset in range(500)]
            read(tracker, records)
            tracker.settle([each for each in records[1:] if chance.random() < 0.5], DELIVERED)
        await assignments.commit()
        assert len(group.committed) == 1_000
        sizes = [len(commit.metadata) for commit in group.committed.values()]
        assert sum(sizes) <= module.COMMIT_BYTES
        assert min(sizes) > 200
