"""What the API may have taken without saying so: sent again unchanged, first of all, and named when that came too late."""

from __future__ import annotations

import asyncio

import pytest

from consumers.doubt import REMEMBERED_SECONDS
from tests.consumers.records import Read, record
from tests.consumers.shop import Shop, event, open_shop
from tests.consumers.sink import OK, RESET, Got, Say, Sink

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
