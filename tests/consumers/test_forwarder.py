"""The forwarder on a real log, embedded and Kafka."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from broker.interface import Commit, TopicPartition
from consumers.offsets.tally import Tally
from runtime.errors import OperatorError
from schemas.topics import FORWARDER_GROUP, events_topic
from tests.chance import seeded
from tests.consumers.sink import HTML, OK, RESET, Got, Say, until
from tests.consumers.town import Owner, eventually

if TYPE_CHECKING:
    from consumers.audit import Balance
    from tests.consumers.town import Builder, Town


EMBEDDED_SUFFICES = pytest.mark.parametrize("builder", ["embedded"], indirect=True)
"""What no broker has a part in need not be tried on each."""


def names(count: int, keys: str = "abcdefgh-") -> list[str]:
    return [f"{key}{number}" for number in range(count) for key in keys]


def in_order(arrivals: list[str], keys: str = "abcdefgh") -> bool:
    """Whether the events of each key arrived in the order in which `names` has them."""
    return all(
        [int(name[1:]) for name in arrivals if name[0] == key]
        == sorted(int(name[1:]) for name in arrivals if name[0] == key)
        for key in keys
    )


async def until_balanced(town: Town) -> Balance:
    """Wait until nothing waits; the first storefront's balance then."""

    async def balanced() -> bool:
        return all(each.waiting == 0 for each in (await town.balances()).values())

    await eventually(balanced)
    return await town.balance()


async def test_what_is_accepted_is_delivered_in_order_and_balances(builder: Builder) -> None:
    town = await builder.town()
    sent = names(120)
    await town.accept(*sent)
    async with town.forwarder() as forwarder:
        balance = await until_balanced(town)
        assert forwarder.reasons() == {}
    arrivals = [name for got in town.sink.got for name in got.names]
    assert sorted(arrivals) == sorted(sent)
    assert in_order(arrivals)
    assert (balance.accepted, balance.delivered, balance.dead_lettered) == (len(sent), len(sent), 0)
    assert balance.balanced
    assert max(len(got.names) for got in town.sink.got) <= 100


async def test_it_starts_without_topics_and_serves_what_comes_later(builder: Builder) -> None:
    town = await builder.town(ensure=False)
    async with town.forwarder() as forwarder:
        await until(lambda: forwarder.reasons() == {})
        await town.accept("a1", "b1", "a2")
        await until(lambda: len(town.sink.first_arrivals()) == 3)
    assert in_order(town.sink.first_arrivals())


@EMBEDDED_SUFFICES
async def test_topics_that_must_not_be_created_are_missed_in_one_line(builder: Builder) -> None:
    town = await builder.town(ensure=False)
    settings = town.settings.model_copy(
        update={"broker": town.settings.broker.model_copy(update={"create_topics": False})}
    )
    with pytest.raises(OperatorError, match=r"topics are missing: ecommerce\.events\.a-"):
        async with town.forwarder(settings) as forwarder:
            await forwarder.task


async def test_the_next_forwarder_goes_on_where_the_last_one_stopped(builder: Builder) -> None:
    town = await builder.town()
    for part in range(3):
        await town.accept(*(f"{key}{part}" for key in "abc"))
        async with town.forwarder():
            await until_balanced(town)
    arrivals = [name for got in town.sink.got for name in got.names]
    assert len(arrivals) == 9, "a forwarder that drained leaves nothing to repeat"
    assert in_order(arrivals)
    balance = await town.balance()
    assert (balance.accepted, balance.delivered, balance.waiting, balance.unaccounted) == (9, 9, 0, 0)


async def test_faults_of_every_kind_lose_nothing_and_keep_order(builder: Builder) -> None:
    town = await builder.town(max_batch_events=10)
    chance = seeded(3)
    poison = {f"{key}{number}" for key in "ac" for number in (3, 17)}

    def answer(got: Got) -> Say:
        bad = [index for index, name in enumerate(got.names) if name in poison]
        if chance.random() < 0.25:
            return chance.choice([Say(500), HTML, RESET, Say(503), Say(400)])
        return Say(200, {"ok": True, "errors": [f"events[{index}]: no" for index in bad]}) if bad else OK

    def one_at_a_time(got: Got) -> Say:
        """A 400 condemns whoever stands alone: only what is poison may."""
        said = answer(got)
        return Say(500) if said.status == 400 and not poison.issuperset(got.names) else said

    town.sink.answer = one_at_a_time
    sent = names(30)
    async with town.forwarder():
        for start in range(0, len(sent), 30):
            await town.accept(*sent[start : start + 30])
        balance = await until_balanced(town)
    assert (balance.accepted, balance.delivered, balance.dead_lettered) == (len(sent), len(sent) - 4, 4)
    assert balance.balanced
    assert sorted(town.sink.first_arrivals()) == sorted(sent)
    assert in_order(town.sink.first_arrivals())
    letters = {dict(letter.headers)["ce_id"].decode() for letter in await town.dead_letters()}
    assert letters == poison


@EMBEDDED_SUFFICES
async def test_a_dead_letter_tells_where_it_stood_and_why(builder: Builder) -> None:
    town = await builder.town()
    town.sink.say(Say(200, {"ok": True, "accepted": 1, "errors": ["events[1]: items is required"]}))
    await town.accept("a1", "a2")
    async with town.forwarder():
        await until_balanced(town)
    [letter] = await town.dead_letters()
    headers = {name: value.decode() for name, value in letter.headers}
    topic, partition, offset = (headers.pop(f"original_{name}") for name in ("topic", "partition", "offset"))
    assert headers == {
        "ce_id": "a2",
        "storefront": town.names[0],
        "reason": "refused_by_name",
        "error": "items is required",
        "attempts": "1",
    }
    original = [record async for record in town.broker.read(topic, partition=int(partition))][int(offset)]
    assert (original.key, original.value) == (letter.key, letter.value)


@EMBEDDED_SUFFICES
async def test_a_storefront_that_is_down_delays_no_other_and_does_not_make_the_process_unready(
    builder: Builder,
) -> None:
    town = await builder.town(storefronts=2)
    down, well = town.names
    town.sinks[down].answer = lambda _got: RESET
    sent = names(20)
    await town.accept(*sent, storefront=down)
    async with town.forwarder() as forwarder:
        await until(lambda: len(town.sinks[down].got) >= 2)
        await town.accept(*sent, storefront=well)
        await until(lambda: len(town.sinks[well].first_arrivals()) == len(sent), seconds=3)
        assert forwarder.reasons() == {}
        balances = await town.balances()
        assert (balances[down].waiting, balances[down].unaccounted) == (len(sent), 0)
        town.sinks[down].answer = lambda _got: OK
        await until_balanced(town)
    assert in_order(town.sinks[down].first_arrivals())


async def test_two_forwarders_share_the_work_and_take_over_from_each_other(builder: Builder) -> None:
    town = await builder.town(partitions=4, max_batch_events=5)
    chance = seeded(5)
    town.sink.answer = lambda _got: chance.choice([OK, OK, OK, Say(500), RESET])
    sent = names(60)
    parts = [sent[start : start + 90] for start in range(0, len(sent), 90)]
    async with town.forwarder() as first:
        await town.accept(*parts[0])
        async with town.forwarder() as second:
            await until(lambda: bool(second.lines("partitions assigned")))
            for part in parts[1:-1]:
                await town.accept(*part)
                await asyncio.sleep(0.1)
            assert second.lines("batch"), "it took its share"
            await first.stop()
            await town.accept(*parts[-1])
            balance = await until_balanced(town)
    assert (balance.accepted, balance.delivered, balance.unaccounted) == (len(sent), len(sent), 0)
    assert sorted(town.sink.first_arrivals()) == sorted(sent)
    assert in_order(town.sink.first_arrivals())


async def test_a_stop_waits_for_the_requests_that_are_out(builder: Builder) -> None:
    town = await builder.town(max_batch_events=1)
    hold = asyncio.Event()
    town.sink.answer = lambda got: Say(200, {"ok": True}, after=hold) if got.names == ["a1"] else Say(500)
    await town.accept("a1", "b1")
    async with town.forwarder() as forwarder:
        await until(lambda: {"a1", "b1"} <= set(town.sink.first_arrivals()))
        stopping = asyncio.create_task(forwarder.stop())
        await asyncio.sleep(0.5)
        assert not stopping.done()
        hold.set()
        await stopping
    balance = await town.balance()
    assert (balance.delivered, balance.waiting, balance.unaccounted) == (1, 1, 0)


@EMBEDDED_SUFFICES
async def test_a_stop_does_not_wait_for_ever(builder: Builder) -> None:
    town = await builder.town()
    never = asyncio.Event()
    town.sink.answer = lambda _got: Say(200, {"ok": True}, after=never)
    await town.accept("a1")
    async with town.forwarder() as forwarder:
        await until(lambda: town.sink.open == 1)
        await asyncio.wait_for(forwarder.stop(), forwarder.process.drain_seconds)
    never.set()
    town.sink.answer = lambda _got: OK
    assert (await town.balance()).waiting == 1
    async with town.forwarder():
        balance = await until_balanced(town)
    assert (balance.delivered, balance.unaccounted) == (1, 0)


async def test_an_offset_that_was_skipped_is_unaccounted_for_and_stays_so(builder: Builder) -> None:
    town = await builder.town(partitions=1)
    await town.accept("a1")
    async with town.forwarder():
        await until_balanced(town)
    await town.accept("a2", "a3")
    await town.skip(town.names[0])
    assert (await town.balance()).unaccounted == 1
    async with town.forwarder():
        balance = await until_balanced(town)
    assert town.sink.first_arrivals() == ["a1", "a3"]
    assert (balance.accepted, balance.delivered, balance.unaccounted) == (3, 2, 1)
    await town.accept("a4")
    async with town.forwarder():
        balance = await until_balanced(town)
    assert (balance.accepted, balance.delivered, balance.unaccounted) == (4, 3, 1)


async def commit(town: Town, offset: int, metadata: str) -> None:
    """Set the place of the only partition by hand."""
    owner = Owner()
    topic = events_topic(town.names[0])
    subscription = await town.broker.subscribe(FORWARDER_GROUP, [topic], owner)
    try:
        async with asyncio.timeout(20):
            while not owner.owned:
                await subscription.poll(0.1, ())
        await subscription.commit({TopicPartition(topic, 0): Commit(offset, metadata)})
    finally:
        await subscription.close()


async def test_what_somebody_elses_commit_skipped_stays_unaccounted_for(builder: Builder) -> None:
    town = await builder.town(partitions=1)
    await town.accept("a1", "a2", "a3")
    await commit(town, 1, "set by hand")
    async with town.forwarder() as forwarder:
        balance = await until_balanced(town)
        [line] = forwarder.lines("the committed offset is not what its tally adds up to")
        assert "'unaccounted': 1" in line
    assert town.sink.first_arrivals() == ["a2", "a3"]
    assert (balance.accepted, balance.delivered, balance.unaccounted) == (3, 2, 1)


async def test_an_offset_out_of_the_log_is_an_alarm_and_never_a_jump(builder: Builder) -> None:
    town = await builder.town(storefronts=2, partitions=1)
    lost, well = town.names
    await town.accept("a1", storefront=lost)
    await commit(town, 100, Tally(0, 100, 0).encode())
    async with town.forwarder() as forwarder:
        await town.accept("b1", storefront=well)
        await until(lambda: town.sinks[well].first_arrivals() == ["b1"])
        assert "the committed offset 100 is not in the log (0 to 1)" in forwarder.reasons()["offsets"]
        assert len(forwarder.lines("offset out of range")) == 1
    assert town.sinks[lost].got == []
    assert (await town.balances())[lost].unaccounted == 99
    assert (await town.balances())[well].balanced


@EMBEDDED_SUFFICES
async def test_the_gauges_tell_the_balance_and_what_waits(builder: Builder) -> None:
    town = await builder.town()
    await town.accept("a1", "b1")
    async with town.forwarder():
        await until_balanced(town)
    town.sink.answer = lambda _got: Say(403)
    await town.accept("a2")
    async with town.forwarder() as forwarder:
        registry = forwarder.process.metrics.registry
        labels = {"storefront": town.names[0]}
        await until(lambda: registry.get_sample_value("sluice_audit_records", {**labels, "state": "delivered"}) == 2)
        assert registry.get_sample_value("sluice_audit_records", {**labels, "state": "accepted"}) == 3
        assert registry.get_sample_value("sluice_audit_records", {**labels, "state": "unaccounted"}) == 0
        assert registry.get_sample_value("sluice_consumer_lag_records", {**labels, "group": FORWARDER_GROUP}) == 1
