"""A storefront that is held back by will: for its dead letters, or by hand."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from broker.interface import Assignment, Commit, LogRange, TopicPartition
from consumers.assignments import Assignments
from consumers.offsets.memory import Buried
from consumers.report import Report
from consumers.steering import change, read_commands
from consumers.wishes import Wishes
from runtime.clock import SystemClock
from schemas.commands import Parked, StorefrontCommand, storefront_key
from schemas.topics import COMMANDS, partition_of
from tests.consumers.group import Group
from tests.consumers.records import record
from tests.consumers.shop import event, make_process, open_shop
from tests.consumers.sink import OK, Got, Say, Sink, until
from tests.consumers.town import eventually

if TYPE_CHECKING:
    from tests.consumers.shop import Shop
    from tests.consumers.town import Builder, Forwarding, Town

TOPIC = "ecommerce.events.acme"
HERE = TopicPartition(TOPIC, 0)
PARKED = Parked(since="2026-01-01T00:00:00Z", dead_letters=4, events=4, run=4, error="no")


def refuse_all(got: Got) -> Say:
    return Say(200, {"ok": True, "errors": [f"events[{index}]: no {name}" for index, name in enumerate(got.names)]})


def paused(shop: Shop, reason: str = "dead_letter_limit") -> bool:
    return shop.count("forwarder_paused", reason=reason) == 1


async def test_past_the_limit_what_is_refused_is_held_and_not_dead_lettered(sink: Sink) -> None:
    sink.answer = refuse_all
    async with open_shop(sink, dead_letter_run=3, max_batch_events=5) as shop:
        shop.feed(*[f"a{number}" for number in range(10)])
        await shop.until(lambda: paused(shop))
        await shop.until(lambda: shop.idle)
        sent = len(sink.got)
        for _ in range(20):
            await shop.advance(60)
        assert shop.dead == ["a0", "a1", "a2"]
        assert shop.committable() == (3, 0, 3)
        assert len(sink.got) == sent, "nobody probes what a person parked"
        [line] = shop.lines("too many dead letters: the storefront is parked")
        assert (line["dead_letters"], line["events"], line["run"], line["error"]) == (4, 4, 4, "no a3")


async def test_a_resumed_storefront_sends_what_was_held_in_its_order_and_may_bury_as_many_again(sink: Sink) -> None:
    sink.answer = refuse_all
    async with open_shop(sink, dead_letter_run=3, max_batch_events=5) as shop:
        shop.feed(*[f"a{number}" for number in range(10)])
        await shop.until(lambda: paused(shop))
        shop.route.brake.heard(StorefrontCommand(parked=PARKED))
        shop.route.brake.heard(StorefrontCommand(resume="once"))
        await shop.until(lambda: len(shop.dead) == 6)
        await shop.until(lambda: paused(shop))
        shop.route.brake.heard(StorefrontCommand(parked=PARKED))
        sink.answer = lambda _got: OK
        shop.route.brake.heard(StorefrontCommand(resume="twice"))
        await shop.until(lambda: shop.finished)
        assert shop.dead == ["a0", "a1", "a2", "a3", "a4", "a5"]
        assert shop.committable() == (10, 4, 6)
        arrivals = [name for names in sink.names for name in names]
        assert list(dict.fromkeys(arrivals)) == [f"a{number}" for number in range(10)]
        assert not paused(shop)


async def test_records_without_a_value_and_those_refused_alone_count_too(sink: Sink) -> None:
    sink.answer = lambda _got: Say(400, {"error": "never"})
    async with open_shop(sink, dead_letter_run=3, max_batch_events=1) as shop:
        records = shop.feed("a0", "a1")
        await shop.until(lambda: len(shop.dead) == 2)
        void = [records[0]._replace(offset=offset, value=None) for offset in (2, 3)]
        shop.feed_records(void)
        await shop.until(lambda: paused(shop))
        assert shop.committable() == (3, 0, 3)
        shop.route.brake.heard(StorefrontCommand(parked=PARKED))
        shop.route.brake.heard(StorefrontCommand(resume="once"))
        await shop.until(lambda: shop.finished)
        assert shop.committable() == (4, 0, 4)


async def test_what_this_forwarder_parked_holds_until_all_know_it_whatever_is_heard_before(sink: Sink) -> None:
    sink.answer = refuse_all
    async with open_shop(sink, dead_letter_run=3, max_batch_events=5) as shop:
        shop.feed(*[f"a{number}" for number in range(10)])
        await shop.until(lambda: paused(shop))
        brake = shop.route.brake
        brake.heard(StorefrontCommand(resume="written before"))
        assert paused(shop)
        brake.heard(StorefrontCommand(resume="written before", parked=PARKED))
        assert paused(shop)
        brake.heard(StorefrontCommand(state="paused", by="ann", parked=PARKED))
        assert paused(shop, "manual")
        assert not paused(shop)
        assert len(shop.dead) == 3
        await shop.until(lambda: shop.idle)


async def test_a_resuming_is_heard_also_where_the_parking_before_it_was_compacted_away(sink: Sink) -> None:
    sink.answer = refuse_all
    async with open_shop(sink, dead_letter_run=3, max_batch_events=5) as shop:
        shop.feed(*[f"a{number}" for number in range(10)])
        await shop.until(lambda: paused(shop))
        brake = shop.route.brake
        brake.written = "first"
        brake.heard(StorefrontCommand(resume="first"))
        assert paused(shop)
        sink.answer = lambda _got: OK
        brake.heard(StorefrontCommand(resume="second"))
        await shop.until(lambda: shop.finished)
        assert len(shop.dead) == 3


async def test_a_pause_keeps_the_place_and_memory_bounded(sink: Sink) -> None:
    async with open_shop(sink, max_batch_events=2) as shop:
        shop.route.brake.heard(StorefrontCommand(state="paused", by="ann"))
        shop.feed("a1", "b1", "a2")
        await shop.advance(1000)
        assert sink.got == []
        assert not shop.route.flowing
        [line] = shop.lines("storefront paused by hand")
        assert line["by"] == "ann"
        shop.route.brake.heard(StorefrontCommand(resume="x"))
        await shop.until(lambda: shop.finished)
        assert shop.committable() == (3, 3, 0)


async def test_a_forwarder_that_begins_anew_tells_only_what_holds_it_now(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        shop.route.brake.heard(StorefrontCommand(state="paused", by="ann"))
        assert paused(shop, "manual")
        Report(shop.name, shop.metrics, shop.clock, shop.process.log)
        assert not paused(shop, "manual")


def is_paused(forwarder: Forwarding, town: Town, reason: str) -> bool:
    labels = {"storefront": town.names[0], "reason": reason}
    return forwarder.process.metrics.registry.get_sample_value("sluice_forwarder_paused", labels) == 1


def replaced(wanted: StorefrontCommand, _before: StorefrontCommand) -> StorefrontCommand:
    return wanted


@pytest.mark.parametrize("builder", ["embedded"], indirect=True)
async def test_a_forwarder_that_starts_hears_of_each_storefront_only_what_is_wanted_now(builder: Builder) -> None:
    town = await builder.town(2)
    first, second = town.names
    by_me = StorefrontCommand(state="paused", by="me")
    for command in (by_me, StorefrontCommand(), by_me):
        await change(town.broker, second, partial(replaced, command))
    for command in (StorefrontCommand(state="paused"), StorefrontCommand(parked=PARKED), StorefrontCommand(resume="x")):
        await change(town.broker, first, partial(replaced, command))
    key = storefront_key(second)
    partition = partition_of(key, await town.broker.partitions(COMMANDS))
    await town.publisher.publish(COMMANDS, partition, [(key, b"{", [])])
    heard: list[tuple[str, StorefrontCommand]] = []
    process, log = make_process(SystemClock())

    wishes = Wishes(town.broker, lambda *command: heard.append(command), process.clock, process.log)
    await wishes.read()
    assert sorted(heard) == [(first, StorefrontCommand(resume="x")), (second, by_me)]
    assert [line["event"] for line in log] == ["a command cannot be read"], "what was wanted before it stays"


async def test_every_forwarder_obeys_also_one_that_starts_later_and_goes_on_when_resumed(builder: Builder) -> None:
    town = await builder.town()
    name = town.names[0]
    async with town.forwarder() as first:
        await until(lambda: first.reasons() == {})
        await change(town.broker, name, lambda _: StorefrontCommand(state="paused", by="ann"))
        await until(lambda: is_paused(first, town, "manual"), seconds=3)
        await town.accept("a1", "b1")
        async with town.forwarder() as second:
            await until(lambda: bool(second.lines("partitions assigned")))
            assert is_paused(second, town, "manual")
            await first.stop()
            await until(lambda: any("'owned': 3" in line for line in second.lines("partitions assigned")), 20)
            assert town.sink.got == []
            assert second.reasons() == {}
            await change(town.broker, name, lambda _: StorefrontCommand(resume="x"))
            await until(lambda: sorted(town.sink.first_arrivals()) == ["a1", "b1"])


async def test_what_one_forwarder_parks_is_parked_for_all_until_somebody_resumes_it(builder: Builder) -> None:
    town = await builder.town(partitions=1, dead_letter_run=3, max_batch_events=5)
    name = town.names[0]
    town.sink.answer = refuse_all
    await town.accept(*[f"a{number}" for number in range(8)])

    async def is_written() -> bool:
        return (await read_commands(town.broker)).get(name, StorefrontCommand()).parked is not None

    async with town.forwarder():
        await eventually(is_written)
    parked = (await read_commands(town.broker))[name].parked
    assert parked is not None
    assert (parked.dead_letters, parked.run, parked.error) == (4, 4, "no a3")
    sent = len(town.sink.got)
    async with town.forwarder() as next_one:
        await until(lambda: bool(next_one.lines("partitions assigned")))
        assert is_paused(next_one, town, "dead_letter_limit")
        await asyncio.sleep(0.1)
        assert len(town.sink.got) == sent
        town.sink.answer = lambda _got: OK
        await change(town.broker, name, lambda _: StorefrontCommand(resume="x"))

        async def all_delivered() -> bool:
            return (await town.balance()).waiting == 0

        await eventually(all_delivered)
    balance = await town.balance()
    assert (balance.accepted, balance.delivered, balance.dead_lettered, balance.unaccounted) == (8, 5, 3, 0)
    assert len(await town.dead_letters()) == 3


BURIED = Buried(at=1_000, events=10, letters=4, run=2, resume="")


async def test_a_limit_goes_on_from_the_newest_of_what_others_counted_until_it_counts_itself(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        brake = shop.route.brake
        assert brake.buried(5.0) is None
        brake.take_over(None)
        brake.take_over(BURIED)
        brake.take_over(BURIED._replace(at=999, letters=9))
        assert brake.buried(5.0) == BURIED._replace(at=5_000)
        brake.take_over(BURIED._replace(at=1_001, letters=3))
        assert brake.buried(5.0) == BURIED._replace(at=5_000, letters=3)
        brake.limit.delivered(1)
        brake.take_over(BURIED._replace(at=2_000, letters=9))
        assert brake.buried(5.0) == BURIED._replace(at=5_000, events=11, letters=3, run=0)


async def test_what_was_counted_before_somebody_resumed_the_storefront_counts_no_more(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        brake = shop.route.brake
        brake.heard(StorefrontCommand(resume="x"))
        brake.take_over(BURIED)
        assert brake.buried(5.0) is None
        brake.take_over(BURIED._replace(resume="x"))
        assert brake.buried(5.0) == BURIED._replace(at=5_000, resume="x")


async def test_a_forwarder_that_dies_again_and_again_does_not_empty_the_topic_into_the_dead_letters(sink: Sink) -> None:
    sink.answer = refuse_all
    commit: Commit | None = None
    dead: list[str] = []
    for life in range(6):
        async with open_shop(sink, dead_letter_run=3, max_batch_events=1) as shop:
            assignments, group = Assignments({TOPIC: shop.route}, shop.process.log), Group()
            assignments.use(group)
            start = 0 if commit is None else commit.offset
            await assignments.assigned([Assignment(HERE, start, commit, LogRange(0, 100))])
            shop.route.add(0, [record(start, b"a", event(f"a{start}"))])
            shop.route.pump()
            await shop.until(lambda: shop.dead or paused(shop))
            dead += shop.dead
            assert paused(shop) == (life >= 3)
            await assignments.commit()
            commit = group.committed.get(HERE, commit)
    assert dead == ["a0", "a1", "a2"]
    assert commit is not None
    assert commit.offset == 3
