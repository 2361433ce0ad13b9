"""Readiness turns red when nothing moves although there is lag, and nothing explains it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import structlog
from structlog.testing import capture_logs

from broker.embedded.subscription import EmbeddedSubscription
from broker.interface import LogRange, TopicPartition, Unavailable
from consumers import progress
from consumers.offsets.tally import Tally
from consumers.offsets.tracker import DELIVERED, Tracker
from consumers.progress import LOOK_SECONDS, STUCK_SECONDS, Progress
from runtime.clock import ManualClock
from tests.consumers.records import read, record
from tests.consumers.shop import open_shop
from tests.consumers.sink import Say, sinking, until

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tests.consumers.town import Builder, Town

FIRST, SECOND = TopicPartition("ecommerce.events.acme", 0), TopicPartition("ecommerce.events.acme", 1)


class Way:
    """A storefront that has an excuse, or none, and has use for more records, or not."""

    excused = False
    hungry = True

    def excuse(self, seconds: float) -> bool:
        assert seconds == LOOK_SECONDS
        return self.excused


class Watched:
    """Two partitions that are owned, with 10 records each in the log."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.way = Way()
        self.trackers = {each: Tracker(0, Tally(0)) for each in (FIRST, SECOND)}
        self.ends = {FIRST: 10, SECOND: 10}
        self.away = False
        self.progress = Progress(
            lambda: self.trackers, {FIRST.topic: self.way}, self.ranges, self.clock, structlog.get_logger()
        )

    async def ranges(self, topics: Collection[str]) -> Mapping[TopicPartition, LogRange]:
        assert set(topics) == {FIRST.topic}
        if self.away:
            raise Unavailable("no broker")
        return {each: LogRange(0, end) for each, end in self.ends.items()}

    async def passes(self, seconds: float) -> None:
        for _ in range(int(seconds / LOOK_SECONDS)):
            await self.clock.advance(LOOK_SECONDS)
            await self.progress.look()

    def deliver(self, partition: TopicPartition, first: int, count: int) -> None:
        records = [record(first + each, partition=partition.partition) for each in range(count)]
        read(self.trackers[partition], records)
        self.trackers[partition].settle(records, DELIVERED)


async def test_what_waits_and_does_not_move_is_named_after_two_minutes() -> None:
    watched = Watched()
    watched.deliver(SECOND, 0, 10)
    with capture_logs() as lines:
        await watched.progress.look()
        await watched.passes(STUCK_SECONDS - LOOK_SECONDS)
        assert watched.progress.fault() is None
        await watched.passes(2 * LOOK_SECONDS)
        assert "ecommerce.events.acme/0" in (watched.progress.fault() or "")
        assert "ecommerce.events.acme/1" not in (watched.progress.fault() or "")
        watched.deliver(FIRST, 0, 1)
        await watched.passes(LOOK_SECONDS)
        assert watched.progress.fault() is None
    assert [line["event"] for line in lines] == ["nothing moves", "everything moves again"]


async def test_what_is_read_and_never_finished_is_stuck_too() -> None:
    watched = Watched()
    read(watched.trackers[FIRST], [record(offset) for offset in range(10)])
    watched.deliver(SECOND, 0, 10)
    await watched.passes(STUCK_SECONDS + LOOK_SECONDS)
    assert "ecommerce.events.acme/0" in (watched.progress.fault() or "")


async def test_who_waits_behind_others_of_a_slow_storefront_is_well_until_it_is_overtaken() -> None:
    watched = Watched()
    watched.ends[FIRST] = 100
    behind, slow = [record(offset) for offset in range(20)], watched.trackers[FIRST]
    read(slow, behind)
    read(watched.trackers[SECOND], [record(offset, partition=1) for offset in range(10)])
    for each in behind:
        slow.settle([each], DELIVERED)
        await watched.passes(STUCK_SECONDS / 2)
        assert watched.progress.fault() is None
    newer = [record(offset) for offset in range(20, 40)]
    read(slow, newer)
    for each in newer:
        slow.settle([each], DELIVERED)
        await watched.passes(LOOK_SECONDS)
    assert "ecommerce.events.acme/1" in (watched.progress.fault() or ""), "newer ones arrived before it"
    assert "ecommerce.events.acme/0" not in (watched.progress.fault() or "")


async def test_who_is_not_read_waits_for_its_turn_only_while_there_is_enough_to_send() -> None:
    watched = Watched()
    watched.ends[FIRST] = 1_000
    watched.way.hungry = False
    for offset in range(20):
        watched.deliver(FIRST, offset, 1)
        await watched.passes(STUCK_SECONDS / 2)
        assert watched.progress.fault() is None
    watched.way.hungry = True
    for offset in range(20, 40):
        watched.deliver(FIRST, offset, 1)
        await watched.passes(LOOK_SECONDS)
    assert "ecommerce.events.acme/1" in (watched.progress.fault() or ""), "more was wanted, and it was not read"


async def test_what_moves_or_has_nothing_to_do_is_well() -> None:
    watched = Watched()
    watched.ends[SECOND] = 0
    for offset in range(9):
        watched.deliver(FIRST, offset, 1)
        await watched.passes(STUCK_SECONDS - LOOK_SECONDS)
        assert watched.progress.fault() is None


async def test_an_excuse_and_a_new_assignment_begin_the_time_anew() -> None:
    watched = Watched()
    await watched.progress.look()
    watched.way.excused = True
    await watched.passes(3 * STUCK_SECONDS)
    assert watched.progress.fault() is None, "it is parked, and that is told elsewhere"
    watched.way.excused = False
    await watched.passes(STUCK_SECONDS - LOOK_SECONDS)
    watched.trackers = {each: Tracker(0, Tally(0)) for each in watched.trackers}
    await watched.passes(STUCK_SECONDS)
    assert watched.progress.fault() is None, "it was lost and regained"
    watched.trackers = {}
    await watched.passes(STUCK_SECONDS)
    assert watched.progress.fault() is None


async def test_while_the_log_is_away_nothing_is_claimed() -> None:
    watched = Watched()
    watched.away = True
    looking = asyncio.create_task(watched.progress.run())
    await asyncio.sleep(0)
    for _ in range(20):
        await watched.clock.advance(LOOK_SECONDS)
    assert watched.progress.fault() is None
    watched.away = False
    for _ in range(20):
        await watched.clock.advance(LOOK_SECONDS)
    assert watched.progress.fault() is not None
    looking.cancel()
    await asyncio.wait([looking])


@pytest.mark.parametrize(
    "answer", [Say(429, headers={"Retry-After": "3600"}), Say(401), Say(500)], ids=["Retry-After", "auth", "failing"]
)
async def test_a_storefront_whose_requests_fail_or_wait_has_an_excuse(answer: Say) -> None:
    async with sinking() as sink, open_shop(sink) as shop:
        assert not shop.route.excuse(LOOK_SECONDS)
        sink.answer = lambda _: answer
        shop.feed("a1")
        await shop.until(lambda: shop.route.excuse(LOOK_SECONDS))


@pytest.mark.parametrize("builder", ["embedded"], indirect=True)
async def test_a_forwarder_that_reads_nothing_says_so(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(progress, "STUCK_SECONDS", 0.2)
    town: Town = await builder.town()
    poll = EmbeddedSubscription.poll

    async def deaf(self: EmbeddedSubscription, seconds: float, *_: object) -> dict[TopicPartition, list[object]]:
        await poll(self, seconds, ())
        return {}

    async with town.forwarder() as forwarder:
        await until(lambda: forwarder.reasons() == {})
        monkeypatch.setattr(EmbeddedSubscription, "poll", deaf)
        await town.accept("a1", "b1")
        await until(lambda: "progress" in forwarder.reasons())
        monkeypatch.setattr(EmbeddedSubscription, "poll", poll)
        await until(lambda: forwarder.reasons() == {})
