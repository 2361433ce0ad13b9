"""Storefronts against an API that states its limits."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from consumers.pace.origin import Origin
from runtime.clock import ManualClock
from sandbox.tolinku.rate_limit import RateLimit
from tests.consumers.shop import Shop, open_shop
from tests.consumers.sink import OK, Got, Say, Sink, sinking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEYS = "abcdefghijklmnopqrstuvwxyz"
TOO_MANY = {"error": "Too many requests. Please slow down."}


class Limited:
    """Two storefronts behind one origin, each with a sink of its own, and one limit for both."""

    def __init__(self, clock: ManualClock, limit: int) -> None:
        self.clock = clock
        self.rate_limit = RateLimit(clock)
        self.limit = limit
        self.refused = 0

    def answer(self, _got: Got) -> Say:
        allowance = self.rate_limit.take("us", self.limit)
        headers = allowance.headers()
        if allowance.allowed:
            return Say(200, {"ok": True}, headers)
        self.refused += 1
        return Say(429, TOO_MANY, headers | {"Retry-After": str(allowance.reset)})


@asynccontextmanager
async def two_shops(limit: int, **forwarder: int) -> AsyncIterator[tuple[Limited, Shop, Shop]]:
    clock = ManualClock()
    origin = Origin(None, clock)
    api = Limited(clock, limit)
    async with (
        sinking() as one,
        sinking() as other,
        open_shop(one, clock=clock, origin=origin, name="one", **forwarder) as first,
        open_shop(other, clock=clock, origin=origin, name="other", **forwarder) as second,
    ):
        one.answer = other.answer = api.answer
        yield api, first, second


async def let(shops: tuple[Shop, ...], seconds: float, step: float = 0.1) -> None:
    """Let time pass for all of them; requests that are out come back within it."""
    clock = shops[0].clock
    for _ in range(round(seconds / step)):
        await clock.advance(step)
        for shop in shops:
            shop.route.pump()
        while not all(shop.idle for shop in shops):  # noqa: ASYNC110 - a gauge has no event to wait for
            await asyncio.sleep(0.001)


async def test_two_storefronts_of_one_origin_keep_its_limit_and_each_gets_its_share() -> None:
    async with two_shops(60, max_batch_events=1) as (api, one, other):
        names = [f"{KEYS[number % 26]}{number}" for number in range(200)]
        for shop in (one, other):
            shop.feed(*names)
        await let((one, other), 60, step=0.25)
        before, refused = [len(shop.sink.got) for shop in (one, other)], api.refused
        await let((one, other), 120, step=0.25)
        sent = [len(shop.sink.got) - was for shop, was in zip((one, other), before, strict=True)]
        assert (api.refused - refused) < 0.01 * sum(sent)
        assert sent[0] == pytest.approx(sent[1], rel=0.05)
        assert sum(sent) > 0.9 * 2 * 60


async def test_when_the_limit_binds_batches_wait_longer_and_fill() -> None:
    async with two_shops(30) as (_, one, other):
        for second in range(90):
            for shop in (one, other):
                shop.feed(*[f"{key}{second}" for key in KEYS[:10]])
            await let((one, other), 1)
        late = [len(names) for names in one.sink.names[-10:]]
        assert min(late) >= 30, "10 a second, and a request every 4 s for each"
        await let((one, other), 30)
        assert one.finished
        assert other.finished


async def test_a_429_with_nothing_left_holds_up_all_storefronts_of_the_origin_and_one_request_goes_first() -> None:
    async with two_shops(1_000, max_batch_events=1) as (_, one, other):
        exhausted = {"RateLimit-Limit": "1000", "RateLimit-Remaining": "0", "RateLimit-Reset": "30"}
        one.sink.say(Say(429, TOO_MANY, exhausted))
        one.feed("a1")
        await one.until(lambda: one.count("forwarder_paused", reason="rate") == 1)
        other.feed("a1", "b1", "c1")
        await let((one, other), 29)
        assert other.sink.got == []
        assert other.count("forwarder_paused", reason="rate") == 1
        assert not other.route.flowing, "it borrows no memory meanwhile"
        hold = asyncio.Event()
        for shop in (one, other):
            shop.sink.say(Say(200, {"ok": True}, exhausted | {"RateLimit-Remaining": "999"}, after=hold))
        await one.clock.advance(2)
        for shop in (one, other):
            shop.route.pump()
        await one.until(lambda: one.sink.open + other.sink.open == 1)
        await asyncio.sleep(0.02)
        assert one.sink.open + other.sink.open == 1
        hold.set()
        await one.until(lambda: one.idle and other.idle)
        await let((one, other), 5)
        assert one.finished
        assert other.finished
        assert other.count("forwarder_paused", reason="rate") == 0


async def test_a_limit_that_is_set_is_kept_without_a_word_from_the_api(sink: Sink) -> None:
    clock = ManualClock()
    async with open_shop(sink, clock=clock, origin=Origin(60, clock), max_batch_events=1) as shop:
        shop.feed(*[f"{KEYS[number % 26]}{number}" for number in range(200)])
        await let((shop,), 60)
        assert 50 <= len(sink.got) <= 60


async def test_a_server_that_says_when_to_come_again_is_asked_by_nobody_before(sink: Sink) -> None:
    async with open_shop(sink, max_batch_events=1) as shop:
        sink.say(Say(503, b"", {"Retry-After": "120"}))
        shop.feed("a1")
        await shop.until(lambda: shop.count("forwarder_paused", reason="outage") == 1)
        shop.feed("b1", "c1")
        await let((shop,), 119, step=1)
        assert len(sink.got) == 1
        await let((shop,), 5)
        assert shop.finished


async def test_a_warning_of_usage_makes_partial_batches_wait_longer_and_is_told_once(sink: Sink) -> None:
    sink.answer = lambda _got: Say(200, {"ok": True}, {"X-Usage-Warning": "85%"})
    async with open_shop(sink, max_batch_wait_ms=200, max_batch_events=3) as shop:
        shop.feed("a1")
        await let((shop,), 0.3)
        assert shop.finished
        shop.feed("a2")
        await let((shop,), 1)
        assert len(sink.got) == 1
        pump_at = shop.route.pump_at()
        assert pump_at is not None
        assert pump_at - shop.clock.monotonic() == pytest.approx(0.2, abs=0.001)
        await let((shop,), 0.3)
        assert len(sink.got) == 2
        shop.feed("a3", "b3", "c3")
        await let((shop,), 0.1)
        assert len(sink.got) == 3, "a full batch waits for nobody"
        assert [line["percent"] for line in shop.lines("the API warns that the month's calls are being used up")] == [
            85
        ]
        sink.answer = lambda _got: Say(200, {"ok": True}, {"X-Usage-Warning": "100%"})
        shop.feed("a4")
        await let((shop,), 1.3)
        shop.feed("a5")
        await let((shop,), 5)
        assert len(sink.got) == 4
        sink.answer = lambda _got: OK
        await let((shop,), 0.3)
        assert len(sink.got) == 5
        shop.feed("a6")
        await let((shop,), 0.3)
        assert shop.finished
        assert len(shop.lines("the API no longer warns of its usage")) == 1


async def test_events_refused_one_by_one_for_want_of_quota_are_held_and_delivered_later(sink: Sink) -> None:
    quota = "Ecommerce event quota exceeded"
    errors = [f"events[1]: {quota}", "events[0]: items is required", f"events[3]: {quota}"]
    async with open_shop(sink, max_batch_events=4) as shop:
        sink.say(Say(200, {"ok": True, "accepted": 1, "errors": errors}))
        shop.feed("a1", "b1", "c1", "d1")
        await shop.until(lambda: shop.count("forwarder_paused", reason="quota") == 1)
        assert shop.dead == ["a1"]
        assert shop.count("forwarder_quota_errors_total", kind="quota") == 1
        sink.answer = lambda got: Say(
            200, {"ok": True, "errors": [f"events[{n}]: {quota}" for n in range(len(got.names))]}
        )
        shop.feed("b2", "e1")
        await let((shop,), 600, step=5)
        assert shop.dead == ["a1"]
        assert shop.count("forwarder_events_total", result="delivered") == 1
        sink.answer = lambda _got: OK
        await shop.until(lambda: shop.finished, step=10)
        assert shop.committable() == (6, 5, 1)
        arrivals = [name for names in sink.names for name in names]
        assert arrivals.index("b1") < arrivals.index("b2")
        assert shop.count("forwarder_paused", reason="quota") == 0
