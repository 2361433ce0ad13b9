"""What the API may have taken without saying so: sent again unchanged, first of all, and named when that came too late."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from broker.interface import Commit, LogRange
from consumers.delivery.doubt import REMEMBERED_SECONDS
from consumers.offsets.memory import Remembered, remembered
from consumers.offsets.tally import Tally
from consumers.offsets.tracker import Tracker
from schemas.commands import StorefrontCommand
from schemas.topics import FORWARDER_GROUP, events_topic
from tests.consumers.records import Read, record
from tests.consumers.shop import Shop, event, open_shop
from tests.consumers.sink import OK, RESET, Got, Say, Sink, until

if TYPE_CHECKING:
    from tests.consumers.town import Builder

QUOTA = Say(403, {"error": "No", "code": "USAGE_EXCEEDED"})
OVERDUE = "purchases or refunds may be counted twice: the API forgets their ids after 24 h, and until now nothing could be sent again"
HOURS = 3_600


def sold(offset: int, name: str, kind: str = "purchase") -> Read:
    return record(offset, name[0].encode(), event(name), headers=(("ce_type", f"ecommerce.{kind}".encode()),))


def seen(offset: int, name: str) -> Read:
    return sold(offset, name, "view_item")


async def rest(shop: Shop, seconds: float) -> None:
    """Let time pass, so that probes go out and come back."""
    end = shop.clock.monotonic() + seconds
    while shop.clock.monotonic() < end:
        await shop.advance(min(HOURS, end - shop.clock.monotonic()))
        await asyncio.sleep(0.005)
        await shop.until(lambda: shop.idle)


async def test_a_purchase_in_doubt_goes_before_all_else_when_the_storefront_goes_on(sink: Sink) -> None:
    async with open_shop(sink, max_batch_events=1, max_in_flight=3) as shop:
        hold = asyncio.Event()
        sink.say(Say(500, after=hold), Say(500, after=hold), Say(after=hold, reset=True))
        shop.feed_records([seen(0, "a1"), seen(1, "b1"), sold(2, "c1")])
        await shop.until(lambda: sink.open == 3)
        hold.set()
        await shop.until(lambda: shop.count("forwarder_paused", reason="outage") == 1)
        await shop.until(lambda: shop.idle)
        shop.feed_records([seen(3, "d1"), seen(4, "e1")])
        before = len(sink.got)
        await shop.until(lambda: shop.finished, step=0.2)
        assert sink.names[before] == ["c1"], "it came last and goes first"
        assert sink.got[before].body == sink.got[2].body


async def test_one_in_doubt_that_never_gets_through_does_not_keep_its_storefront_closed(sink: Sink) -> None:
    sink.answer = lambda got: RESET if got.names == ["a1"] else OK
    async with open_shop(sink, max_batch_events=1, max_in_flight=3) as shop:
        sink.say(RESET, Say(500), Say(500))
        shop.feed_records([sold(0, "a1"), sold(1, "b1"), sold(2, "c1"), sold(3, "d1")])
        await shop.until(lambda: {"b1", "c1", "d1"} <= set(sink.first_arrivals()), step=0.2)
        await shop.until(lambda: shop.count("forwarder_events_total", result="delivered") == 3, step=0.2)
        sink.answer = lambda _got: OK
        await shop.until(lambda: shop.finished, step=1)


async def test_transactions_in_doubt_for_a_day_are_named_once_with_their_places(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        sink.say(RESET)
        sink.answer = lambda _got: QUOTA
        shop.feed_records([sold(0, "a1"), seen(1, "b1"), sold(2, "c1", "refund")])
        await shop.until(lambda: shop.lines("batch"))
        await rest(shop, 23.9 * HOURS)
        assert shop.lines(OVERDUE) == []
        await rest(shop, 0.2 * HOURS)
        [line] = shop.lines(OVERDUE)
        assert line["log_level"] == "error"
        assert line["transactions"] == 2
        assert line["places"] == ["ecommerce.events.acme/0/0", "ecommerce.events.acme/0/2"]
        await rest(shop, 30 * HOURS)
        sink.answer = lambda _got: OK
        await shop.until(lambda: shop.finished, step=10)
        assert len(shop.lines(OVERDUE)) == 1
        assert shop.count("forwarder_possible_duplicates_total") == 3


@pytest.mark.parametrize("kind", ["view_item", "purchase"])
async def test_what_is_no_transaction_or_was_answered_in_time_is_not_named(sink: Sink, kind: str) -> None:
    async with open_shop(sink) as shop:
        sink.say(RESET)
        if kind == "view_item":
            sink.answer = lambda _got: QUOTA
        shop.feed_records([sold(0, "a1", kind)])
        await rest(shop, REMEMBERED_SECONDS + HOURS)
        assert shop.lines(OVERDUE) == []
        assert shop.finished is (kind == "purchase")


async def test_halves_of_what_is_in_doubt_are_in_doubt(sink: Sink) -> None:
    def answer(got: Got) -> Say:
        return Say(413) if len(got.names) > 1 else QUOTA

    async with open_shop(sink) as shop:
        sink.say(RESET)
        sink.answer = answer
        shop.feed_records([sold(0, "a1"), sold(1, "b1")])
        await rest(shop, 25 * HOURS)
        [line] = shop.lines(OVERDUE)
        assert line["places"] == ["ecommerce.events.acme/0/0"]
        sink.answer = lambda _got: OK
        await shop.until(lambda: shop.finished, step=10)
        assert [line["places"] for line in shop.lines(OVERDUE)[1:]] == [["ecommerce.events.acme/0/1"]]


async def test_a_request_given_up_at_a_withdrawal_may_be_a_duplicate(sink: Sink) -> None:
    never = asyncio.Event()
    sink.say(Say(after=never))
    async with open_shop(sink) as shop:
        shop.feed("a1", "b1")
        await shop.until(lambda: sink.open == 1)
        await shop.route.withdraw([0], 0.01)
        assert shop.count("forwarder_possible_duplicates_total") == 2
        never.set()


@pytest.mark.parametrize("answered", [False, True])
async def test_transactions_in_doubt_that_are_left_to_the_next_forwarder_are_named(sink: Sink, answered: bool) -> None:  # noqa: FBT001 - a column of the table
    never = asyncio.Event()
    sink.say(RESET if answered else Say(after=never))
    sink.answer = lambda _got: QUOTA
    async with open_shop(sink) as shop:
        shop.feed_records([sold(0, "a1"), seen(1, "b1")])
        await shop.until(lambda: shop.lines("batch") if answered else sink.open == 1)
        await shop.advance(90)
        await shop.route.withdraw([0], 0.05)
        [line] = shop.lines("purchases or refunds that may have been taken are left to the next forwarder")
        assert line["places"] == ["ecommerce.events.acme/0/0"]
        assert line["first_sent_seconds_ago"] == pytest.approx(90, abs=1)
        never.set()


def succeed(shop: Shop, commit: Commit | None) -> None:
    """Give the shop's route its partition as an earlier owner's last commit left it."""
    assert commit is not None
    before = remembered(commit, LogRange(0, 100))
    shop.tracker = Tracker(commit.offset, Tally.decode(commit.metadata), before)
    shop.route.assign({0: shop.tracker})


INHERITED = "purchases or refunds that may have been taken are taken over, and sent again first of all"


async def test_the_next_forwarder_sends_what_is_in_doubt_first_and_unchanged(sink: Sink) -> None:
    hold = asyncio.Event()
    async with open_shop(sink, max_batch_events=2, max_in_flight=3) as first:
        sink.say(Say(500, after=hold), Say(500, after=hold), Say(after=hold, reset=True))
        records = [seen(0, "a1"), seen(1, "b1"), sold(2, "c1"), seen(3, "d1"), seen(4, "e1"), sold(5, "f1", "refund")]
        first.feed_records(records)
        await first.until(lambda: sink.open == 3)
        hold.set()
        await first.until(lambda: first.count("forwarder_possible_duplicates_total") == 2)
        await first.until(lambda: first.idle)
        [line] = [each for each in first.lines("batch") if each["outcome"] == "connection"]
        in_doubt = sink.got[first.lines("batch").index(line)]
        async with open_shop(sink, clock=first.clock, max_batch_events=2, max_in_flight=3) as second:
            await first.clock.advance(90)
            before = len(sink.got)
            succeed(second, first.tracker.commit())
            second.feed_records([*records, sold(6, "c2"), seen(7, "g1")])
            await second.until(lambda: second.finished, step=0.2)
            assert sink.got[before].names == in_doubt.names
            assert sink.got[before].body == in_doubt.body
            [taken] = second.lines(INHERITED)
            assert taken["places"]
            assert taken["first_sent_seconds_ago"] == pytest.approx(90, abs=5)
            assert "doubts" not in (second.tracker.commit() or Commit(0, "doubts")).metadata


async def test_a_day_is_counted_from_the_first_sending_whoever_sent_it(sink: Sink) -> None:
    sink.say(RESET)
    sink.answer = lambda _got: QUOTA
    async with open_shop(sink) as first:
        records = [sold(0, "a1"), seen(1, "b1"), sold(2, "c1", "refund")]
        first.feed_records(records)
        await first.until(lambda: first.lines("batch"))
        await rest(first, 20 * HOURS)
        left = first.tracker.commit()
        async with open_shop(sink, clock=first.clock) as second:
            succeed(second, left)
            second.feed_records(records)
            await rest(second, 3.9 * HOURS)
            assert second.lines(OVERDUE) == []
            await rest(second, 0.2 * HOURS)
            [line] = second.lines(OVERDUE)
            assert line["places"] == ["ecommerce.events.acme/0/0", "ecommerce.events.acme/0/2"]
            async with open_shop(sink, clock=first.clock) as third:
                assert second.tracker.commit() is None, "nothing has changed"
                succeed(third, left)
                third.route.pump()
                [line] = third.lines(OVERDUE)
                assert line["transactions"] == 2, "also before anything of it is read"
                third.feed_records(records)
                sink.answer = lambda _got: OK
                await third.until(lambda: third.finished, step=10)
                assert len(third.lines(OVERDUE)) == 1


async def test_what_was_taken_over_and_given_away_again_is_named_by_whoever_has_it_then(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        shop.route.assign({0: Tracker(0, Tally(0), Remembered(b"", {int(shop.clock.now() * 1000): b"\2"}))})
        await shop.route.withdraw([0], 0)
        await shop.advance(25 * HOURS)
        assert shop.lines(OVERDUE) == []


async def test_what_goes_before_all_is_read_first_though_there_is_enough_else_to_send(sink: Sink) -> None:
    async with open_shop(sink, max_in_flight=1, max_batch_events=1) as shop:
        shop.route.brake.heard(StorefrontCommand(state="paused"))
        shop.feed("a1", "b1")
        hungry = [shop.route.hungry]
        shop.route.assign({1: Tracker(0, Tally(0), Remembered(b"", {1_000: b"\2"}))})
        hungry.append(shop.route.hungry)
        shop.route.add(1, [sold(0, "c1")._replace(partition=1)])
        hungry.append(shop.route.hungry)
        assert hungry == [False, True, False]
        shop.route.brake.heard(StorefrontCommand(resume="x"))
        await shop.until(lambda: len(sink.got) == 3)
        assert sink.names[0] == ["c1"]


@pytest.mark.parametrize("builder", ["embedded"], indirect=True)
async def test_a_forwarder_that_stops_leaves_its_doubts_to_the_next(builder: Builder) -> None:
    town = await builder.town(partitions=1, max_batch_events=1)
    topic = events_topic(town.names[0])
    town.sink.answer = lambda got: RESET if got.names == ["b0"] else Say(500)
    events = [(name, "purchase" if name == "b0" else "view_item") for name in ("a0", "b0", "c0")]
    await town.publisher.publish(
        topic,
        0,
        [(name.encode()[:1], event(name), [("ce_type", f"ecommerce.{kind}".encode())]) for name, kind in events],
    )
    async with town.forwarder() as first:
        await until(lambda: ["b0"] in town.sink.names, seconds=20)
    assert first.lines("purchases or refunds that may have been taken are left to the next forwarder")
    before = len(town.sink.got)
    town.sink.answer = lambda _got: OK
    async with town.forwarder() as second:
        await until(lambda: len(town.sink.got) == before + 3, seconds=20)
        [line] = second.lines(INHERITED)
        assert f"{topic}/0/1" in line
    assert town.sink.names[before] == ["b0"], "first of all"
    [commit] = (await town.broker.committed(FORWARDER_GROUP, [topic])).values()
    assert commit == Commit(3, Tally(0, 3).encode())
