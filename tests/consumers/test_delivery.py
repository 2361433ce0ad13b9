"""One storefront's deliveries, against an API that does as it is told."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from consumers.api.outcomes import Kind
from tests.chance import seeded
from tests.consumers.records import record
from tests.consumers.shop import KEY, event, open_shop
from tests.consumers.sink import HTML, OK, RESET, Got, Say, Sink, sinking

TROUBLE = Say(500, {"error": "oops"})
REFUSED = Say(400, {"error": "Invalid ecommerce event_type"})


async def test_events_arrive_byte_for_byte_and_in_order(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        records = shop.feed("a1", "b1", "-1", "a2")
        await shop.until(lambda: shop.finished)
        assert sink.got[0].body == b'{"events":[' + b",".join(each.value or b"" for each in records) + b"]}"
        assert shop.committable() == (4, 4, 0)
        assert shop.count("forwarder_events_total", result="delivered") == 4
        assert shop.count("forwarder_requests_total", outcome="delivered") == 1
        [line] = shop.lines("batch")
        assert (line["events"], line["status"], line["outcome"], line["attempt"]) == (4, 200, "delivered", 1)


async def test_batches_are_bounded_and_several_are_in_flight(sink: Sink) -> None:
    hold = asyncio.Event()
    sink.say(*[Say(200, {"ok": True}, after=hold)] * 4)
    async with open_shop(sink, max_batch_events=2, max_in_flight=3) as shop:
        shop.feed("a1", "b1", "c1", "d1", "e1", "f1", "g1", "h1")
        await shop.until(lambda: sink.open == 3)
        hold.set()
        await shop.until(lambda: shop.finished)
        assert sink.most_open == 3
        assert [len(names) for names in sink.names] == [2, 2, 2, 2]


async def test_a_batch_waits_for_company_but_not_for_long(sink: Sink) -> None:
    async with open_shop(sink, max_batch_wait_ms=200) as shop:
        shop.feed("a1")
        await shop.advance(0.19)
        shop.feed("b1")
        assert shop.route.pump_at() == pytest.approx(shop.clock.monotonic() + 0.01)
        assert sink.got == []
        await shop.advance(0.02)
        await shop.until(lambda: shop.finished)
        assert sink.names == [["a1", "b1"]]


@pytest.mark.parametrize("failure", [TROUBLE, HTML, RESET, Say(200, {"ok": False}), Say(408), Say(503), Say(204, b"")])
async def test_what_can_be_cured_is_sent_again_unchanged_until_it_is_delivered(sink: Sink, failure: Say) -> None:
    async with open_shop(sink) as shop:
        sink.say(failure, failure, OK)
        shop.feed("a1", "a2", "b1")
        await shop.until(lambda: shop.finished, step=0.1)
        assert len(sink.got) == 3
        assert len({got.body for got in sink.got}) == 1
        assert shop.committable() == (3, 3, 0)
        assert shop.dead == []


def came(sink: Sink, name: str, requests: int) -> bool:
    return name in sink.first_arrivals() and len(sink.got) >= requests


async def test_an_event_that_a_firewall_refuses_holds_back_its_own_key_only(sink: Sink) -> None:
    firewall = Say(403, b"<html>Request blocked</html>", {"Content-Type": "text/html"})
    sink.answer = lambda got: firewall if "a1" in got.names else OK
    async with open_shop(sink) as shop:
        shop.feed("b1", "a1", "a2", "c1", "d1")
        await shop.until(lambda: shop.count("forwarder_events_total", result="delivered") == 3, step=0.1)
        shop.feed("b2")
        await shop.until(lambda: shop.count("forwarder_events_total", result="delivered") == 4, step=0.1)
        assert shop.route.flowing
        await shop.advance(600)
        assert shop.dead == [], "as long as nobody else is delivered, it may be all that we send"
        for number in range(3, 12):
            wanted = len(sink.got) + 2
            shop.feed(f"b{number}")
            await shop.until(partial(came, sink, f"b{number}", wanted), step=1)
        await shop.until(lambda: shop.finished, step=1)
        assert shop.dead == ["a1"]
        assert sink.names.index(["a2"]) > max(place for place, names in enumerate(sink.names) if names == ["a1"])
        assert shop.committable() == (15, 14, 1)
        ((_, _, (_, _, headers)),) = shop.publisher.published
        assert (dict(headers)["reason"], dict(headers)["error"]) == (b"blocked", b"<html>Request blocked</html>")


async def test_a_firewall_that_refuses_everything_is_an_outage_and_makes_no_dead_letters(sink: Sink) -> None:
    sink.answer = lambda _got: Say(403, b"<html>Your address is blocked</html>")
    async with open_shop(sink, max_batch_events=2) as shop:
        shop.feed("a1", "b1", "c1", "d1", "e1", "f1", "g1", "h1")
        await shop.until(lambda: not shop.route.flowing, step=0.1)
        before = len(sink.got)
        await shop.advance(60)
        assert not shop.route.flowing
        assert len(sink.got) - before < 12, "one probe at a time, ever more rarely"
        sink.answer = lambda _got: OK
        await shop.until(lambda: shop.finished, step=1)
        assert shop.committable() == (8, 8, 0)


async def test_once_a_firewall_lets_one_event_pass_the_others_wait_no_longer(sink: Sink) -> None:
    sink.answer = lambda _got: Say(403, b"<html>Your address is blocked</html>")
    async with open_shop(sink) as shop:
        shop.feed(*[f"{key}1" for key in "abcdefgh"])
        await shop.until(lambda: len(sink.got) > 70, step=10)
        sink.answer = lambda _got: OK
        lifted = shop.clock.monotonic()
        await shop.until(lambda: shop.finished, step=1)
        assert shop.clock.monotonic() - lifted < 60
        assert shop.committable() == (8, 8, 0)


async def test_only_the_keys_of_a_failing_batch_wait(sink: Sink) -> None:
    sink.answer = lambda got: TROUBLE if "a1" in got.names else OK
    async with open_shop(sink, max_batch_events=2) as shop:
        shop.feed("a1", "b1", "a2", "c1", "d1", "b2", "e1", "c2")
        await shop.until(lambda: {"c1", "d1", "e1", "c2"} <= set(sink.first_arrivals()), step=0.1)
        assert "a2" not in sink.first_arrivals()
        assert "b2" not in sink.first_arrivals()
        assert shop.committable() == (0, 0, 0)
        sink.answer = lambda _got: OK
        await shop.until(lambda: shop.finished, step=0.1)
        arrivals = sink.first_arrivals()
        assert arrivals.index("a1") < arrivals.index("a2")
        assert arrivals.index("b1") < arrivals.index("b2")
        assert shop.committable() == (8, 8, 0)


async def test_prescribed_answers_give_prescribed_requests(sink: Sink) -> None:
    """Per key: a gets 500, 500, 200; b gets 200; c gets HTML, 200; then each has one more event behind it."""
    answers = {"a1": [TROUBLE, TROUBLE], "c1": [HTML]}

    def answer(got: Got) -> Say:
        pending = answers.get(got.names[0], [])
        return pending.pop(0) if pending else OK

    sink.answer = answer
    async with open_shop(sink, max_batch_events=1) as shop:
        shop.feed("a1", "b1", "c1", "a2", "b2", "c2")
        await shop.until(lambda: shop.finished, step=0.05)
        by_key = {key: [names[0] for names in sink.names if names[0][0] == key] for key in "abc"}
        assert by_key == {"a": ["a1", "a1", "a1", "a2"], "b": ["b1", "b2"], "c": ["c1", "c1", "c2"]}
        assert [each for each in shop.clock.slept if each > 0.2] == [], "base 0.1 s, doubled once"


async def test_a_request_that_may_have_arrived_is_counted_as_a_possible_duplicate(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        sink.say(RESET, TROUBLE, OK)
        shop.feed("a1", "b1")
        await shop.until(lambda: shop.finished, step=0.1)
        assert shop.count("forwarder_possible_duplicates_total") == 2
        assert shop.count("forwarder_requests_total", outcome="connection") == 1


async def test_exactly_the_events_named_in_errors_are_dead_lettered(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        errors = ["events[3]: revenue is required for purchase events", "events[0]: items is required"]
        sink.say(Say(200, {"ok": True, "accepted": 2, "errors": errors}))
        records = [
            record(offset, b"k%d" % offset, event(f"k{offset}"), headers=(("ce_id", b"x-%d" % offset),))
            for offset in range(4)
        ]
        shop.feed_records(records)
        await shop.until(lambda: shop.finished)
        assert shop.committable() == (4, 2, 2)
        assert sorted(shop.dead) == ["k0", "k3"]
        assert len(sink.got) == 1
        [(topic, partition, (key, value, headers))] = [each for each in shop.publisher.published if each[2][0] == b"k3"]
        assert (topic, key, value) == ("ecommerce.dead-letters", b"k3", event("k3"))
        assert 0 <= partition < 3
        assert dict(headers) == {
            "ce_id": b"x-3",
            "storefront": b"acme",
            "reason": b"refused_by_name",
            "error": b"revenue is required for purchase events",
            "original_topic": b"ecommerce.events.acme",
            "original_partition": b"0",
            "original_offset": b"3",
            "attempts": b"1",
        }
        assert shop.count("forwarder_events_total", result="dead_lettered") == 2


async def test_accepted_that_does_not_add_up_is_counted_and_decides_nothing(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        sink.say(Say(200, {"ok": True, "accepted": 0}))
        shop.feed("a1", "b1")
        await shop.until(lambda: shop.finished)
        assert shop.committable() == (2, 2, 0)
        assert shop.count("forwarder_accepted_mismatch_total") == 1


async def test_only_keys_of_what_failed_wait_for_it(sink: Sink) -> None:
    hold = asyncio.Event()

    def answer(got: Got) -> Say:
        if "d1" in got.names:
            return REFUSED if len(got.names) > 1 else Say(200, {"ok": True}, after=hold)
        return OK

    sink.answer = answer
    async with open_shop(sink) as shop:
        shop.feed("a1", "b1", "c1", "d1")
        await shop.until(lambda: sink.names[-1:] == [["d1"]])
        shop.feed("a2", "d2", "b2")
        await shop.until(lambda: ["a2", "b2"] in sink.names)
        assert ["d2"] not in sink.names
        hold.set()
        await shop.until(lambda: shop.finished)
        assert sink.names[-1] == ["d2"]


@pytest.mark.parametrize(("status", "reason"), [(400, b"refused_alone"), (413, b"too_large"), (422, b"refused_alone")])
async def test_a_poisoned_batch_is_halved_until_the_poison_stands_alone(sink: Sink, status: int, reason: bytes) -> None:
    def answer(got: Got) -> Say:
        return Say(status, {"error": "no good"}) if "x5" in got.names else OK

    sink.answer = answer
    async with open_shop(sink) as shop:
        names = [f"{key}{number}" for number in range(10) for key in "abcdefgxyz"]
        shop.feed(*names)
        await shop.until(lambda: shop.finished)
        assert shop.dead == ["x5"]
        assert shop.committable() == (100, 99, 1)
        assert len(sink.got) <= 15
        headers = dict(shop.publisher.published[0][2][2])
        assert (headers["reason"], headers["error"]) == (reason, b"no good")
        delivered = [name for got in sink.got if answer(got) is OK for name in got.names]
        assert sorted(delivered) == sorted(set(names) - {"x5"}), "halves repeat nothing that was delivered"
        for key in "abcdefgxyz":
            mine = [name for name in delivered if name[0] == key]
            assert mine == sorted(mine)


async def test_errors_that_cannot_be_read_are_never_guessed_at(sink: Sink) -> None:
    def answer(got: Got) -> Say:
        if "b1" not in got.names:
            return OK
        if len(got.names) == 1:
            return Say(200, {"ok": True, "errors": ["events[0]: really no"]})
        return Say(200, {"ok": True, "accepted": 1, "errors": ["one of them is bad"]})

    sink.answer = answer
    async with open_shop(sink) as shop:
        shop.feed("a1", "b1", "c1", "d1")
        await shop.until(lambda: shop.finished)
        assert shop.dead == ["b1"]
        assert shop.committable() == (4, 3, 1)
        assert dict(shop.publisher.published[0][2][2])["error"] == b"really no"


async def test_a_record_without_an_event_is_dead_lettered_and_not_sent(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        shop.feed_records([record(0, b"a", None), record(1, b"a", event("a1")), record(2, b"b", b"")])
        await shop.until(lambda: shop.finished)
        assert sink.names == [["a1"]]
        assert shop.committable() == (3, 1, 2)
        assert [dict(headers)["reason"] for _, _, (_, _, headers) in shop.publisher.published] == [b"no_value"] * 2


async def test_a_dead_letter_counts_only_once_it_is_acknowledged(sink: Sink) -> None:
    sink.answer = lambda got: REFUSED if "a1" in got.names else OK
    async with open_shop(sink, max_batch_events=1) as shop:
        shop.publisher.failures = 3
        shop.feed("a1", "a2", "b1")
        await shop.until(lambda: "b1" in sink.first_arrivals() and shop.publisher.failures == 2)
        assert shop.committable() == (0, 0, 0)
        assert "a2" not in sink.first_arrivals(), "its key waits as well"
        await shop.until(lambda: shop.finished, step=0.1)
        assert shop.dead == ["a1"]
        assert shop.committable() == (3, 2, 1)
        assert len(shop.lines("dead letters not acknowledged")) == 3


async def test_pace_is_kept_for_the_whole_storefront_and_one_probe_goes_first(sink: Sink) -> None:
    async with open_shop(sink, max_batch_events=1, max_in_flight=4) as shop:
        sink.say(*[Say(429, {"error": "Too many requests. Please slow down."}, {"Retry-After": "90"})] * 4)
        shop.feed("a1", "b1", "c1", "d1", "e1", "f1")
        await shop.until(lambda: len(shop.lines("batch")) == 4)
        assert shop.count("forwarder_paused", reason="rate") == 1
        assert shop.count("forwarder_quota_errors_total", kind="rate") == 4
        hold = asyncio.Event()
        sink.say(Say(200, {"ok": True}, after=hold))
        await shop.advance(89)
        assert len(sink.got) == 4
        await shop.advance(1.1)
        await shop.until(lambda: sink.open == 1)
        await shop.advance(10)
        assert len(sink.got) == 5, "one probe"
        hold.set()
        await shop.until(lambda: shop.finished)
        assert shop.count("forwarder_paused", reason="rate") == 0
        assert shop.committable() == (6, 6, 0)
        assert [line["reason"] for line in shop.lines("storefront rests")] == ["rate"]
        assert len(shop.lines("storefront resumed")) == 1


@pytest.mark.parametrize(
    ("say", "reason"),
    [
        (Say(401, {"error": f"Invalid API key {KEY}"}), "auth"),
        (Say(403, {"error": "No", "code": "USAGE_EXCEEDED"}), "quota"),
        (Say(403, {"error": "Ecommerce events are not available on the free tier"}), "plan"),
        (Say(429, {"error": "Ecommerce event quota exceeded"}), "quota"),
        (Say(302, b"", {"Location": "/login"}), "misdirected"),
        (Say(404, b"<html>"), "misdirected"),
    ],
)
async def test_what_a_person_must_put_right_holds_events_back_and_never_drops_them(
    sink: Sink, say: Say, reason: str
) -> None:
    async with open_shop(sink, max_batch_events=1) as shop:
        sink.answer = lambda _got: say
        shop.feed("a1", "b1", "a2")
        await shop.until(lambda: shop.count("forwarder_paused", reason=reason) == 1)
        sent = len(sink.got)
        for _ in range(600):
            await shop.advance(1)
            await shop.until(lambda: shop.idle)
        assert 4 <= len(sink.got) - sent <= 14, "probes at growing intervals"
        assert shop.count("forwarder_paused", reason=reason) == 1
        assert shop.dead == []
        sink.answer = lambda _got: OK
        await shop.until(lambda: shop.finished, step=10)
        assert shop.committable() == (3, 3, 0)
        assert shop.count("forwarder_paused", reason=reason) == 0
        assert KEY not in repr(shop.log)


async def test_an_outage_is_probed_and_does_not_hammer(sink: Sink) -> None:
    async with open_shop(sink, max_batch_events=1) as shop:
        sink.answer = lambda _got: Say(503)
        shop.feed(*[f"{key}1" for key in "abcdefghijklmnop"])
        await shop.until(lambda: shop.count("forwarder_paused", reason="outage") == 1)
        await shop.until(lambda: sink.open == 0)
        before = len(sink.got)
        for _ in range(120):
            await shop.advance(1)
            await shop.until(lambda: shop.idle)
        assert len(sink.got) - before < 15
        sink.answer = lambda _got: OK
        await shop.until(lambda: shop.finished, step=1)
        assert shop.committable() == (16, 16, 0)


async def test_one_storefront_in_trouble_holds_up_no_other(sink: Sink) -> None:
    sink.answer = lambda _got: Say(500)
    async with sinking() as good, open_shop(sink) as bad_shop, open_shop(good, clock=bad_shop.clock) as good_shop:
        bad_shop.feed("a1")
        good_shop.feed("a1", "b1")
        await good_shop.until(lambda: good_shop.finished)
        assert bad_shop.committable() == (0, 0, 0)


async def test_withdrawing_waits_for_what_is_out_and_forgets_the_rest(sink: Sink) -> None:
    hold = asyncio.Event()
    answers = {"a1": Say(200, {"ok": True}, after=hold), "b1": TROUBLE}
    sink.answer = lambda got: answers.get(got.names[0], OK)
    async with open_shop(sink, max_batch_events=1, max_in_flight=2) as shop:
        shop.feed("a1", "b1", "c1", "a2")
        await shop.until(lambda: "c1" in sink.first_arrivals() and shop.lines("batch"))
        withdrawal = asyncio.create_task(shop.route.withdraw([0], 5))
        await asyncio.sleep(0.05)
        assert not withdrawal.done()
        hold.set()
        await withdrawal
        assert shop.committable() == (1, 1, 0), "b1 waited for its backoff, and was given up"
        requests = len(sink.got)
        await shop.advance(60)
        await asyncio.sleep(0.05)
        assert len(sink.got) == requests
        assert shop.count("forwarder_in_flight") == 0


async def test_withdrawing_gives_up_requests_that_do_not_come_back(sink: Sink) -> None:
    never = asyncio.Event()
    sink.say(Say(after=never))
    async with open_shop(sink) as shop:
        shop.feed("a1")
        await shop.until(lambda: sink.open == 1)
        await shop.route.withdraw([0], 0.05)
        assert shop.committable() == (0, 0, 0)
        never.set()


async def test_a_request_that_fails_after_the_withdrawal_is_not_sent_again(sink: Sink) -> None:
    hold = asyncio.Event()
    sink.say(Say(500, after=hold), Say(400, after=hold))
    async with open_shop(sink, max_batch_events=2) as shop:
        shop.feed("a1", "b1", "c1", "d1")
        await shop.until(lambda: sink.open == 2)
        withdrawal = asyncio.create_task(shop.route.withdraw([0], 5))
        await asyncio.sleep(0)
        hold.set()
        await withdrawal
        await shop.advance(60)
        assert len(sink.got) == 2
        assert shop.committable() == (0, 0, 0)


async def test_the_oldest_record_in_memory_is_known(sink: Sink) -> None:
    hold = asyncio.Event()
    sink.say(Say(200, {"ok": True}, after=hold))
    async with open_shop(sink) as shop:
        assert shop.route.oldest() is None
        shop.feed("a1")
        shop.feed("a2")
        assert shop.route.oldest() == 1_800_000_000.0
        hold.set()
        await shop.until(lambda: shop.route.oldest() is None)
        assert shop.finished


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_the_api_does_each_key_first_arrives_in_order_and_all_is_accounted_for(
    sink: Sink, seed: int
) -> None:
    chance = seeded(seed)
    poison = {f"{key}7" for key in "aceg"}
    pace = Say(429, {"error": "slow down"}, {"Retry-After": "2"})
    exhausted = {"RateLimit-Limit": "1000", "RateLimit-Remaining": "0", "RateLimit-Reset": "5"}
    faults = [
        *(TROUBLE, HTML, RESET, Say(503), pace, Say(403, {"code": "USAGE_EXCEEDED"}), Say(404)),
        *(Say(503, b"", {"Retry-After": "3"}), Say(429, {"error": "slow down"}, exhausted)),
    ]

    def answer(got: Got) -> Say:
        bad = [index for index, name in enumerate(got.names) if name in poison]
        if chance.random() < 0.3:
            return chance.choice(faults)
        if chance.random() < 0.1:
            wanting = {index for index in range(len(got.names)) if chance.random() < 0.5 and index not in bad}
            quota = [f"events[{index}]: Ecommerce event quota exceeded" for index in wanting]
            return Say(200, {"ok": True, "errors": [*quota, *(f"events[{index}]: no" for index in bad)]})
        if bad and chance.random() < 0.5:
            return REFUSED
        if bad:
            return Say(200, {"ok": True, "errors": [f"events[{index}]: no" for index in bad]})
        return OK

    sink.answer = answer
    async with open_shop(sink, seed=seed, max_batch_events=chance.randint(1, 20), max_in_flight=6) as shop:
        names = [f"{key}{number}" for number in range(25) for key in "abcdefgh-"]
        for start in range(0, len(names), 45):
            shop.feed(*names[start : start + 45])
            await shop.advance(0.1)
        await shop.until(lambda: shop.finished, step=2)
        assert sorted(shop.dead) == sorted(poison)
        assert shop.committable() == (len(names), len(names) - len(poison), len(poison))
        arrivals = sink.first_arrivals()
        assert sorted(arrivals) == sorted(names)
        for key in "abcdefgh":
            mine = [name for name in arrivals if name[0] == key]
            assert mine == [f"{key}{number}" for number in range(25)]
        outcomes = {kind for kind in Kind if shop.count("forwarder_requests_total", outcome=kind)}
        assert len(outcomes) >= 5
