"""Deletions of users: alone, in their place among the user's records, one record in the balance."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING

import orjson
import pytest

from consumers.offsets.tally import Tally
from consumers.offsets.tracker import Tracker
from schemas.cloudevents import DELETION_TYPE_HEADER
from schemas.topics import events_topic, partition_of
from tests.chance import seeded
from tests.consumers.records import Read, record
from tests.consumers.shop import event, open_shop
from tests.consumers.sink import OK, RESET, Say, Sink, until

if TYPE_CHECKING:
    from broker.interface import Message
    from tests.consumers.town import Builder

USER = "/v1/api/analytics/user"


def deletion(offset: int, user: str) -> Read:
    value = orjson.dumps({"user_id": user})
    return record(offset, user.encode(), value, headers=(("ce_id", b"x"), DELETION_TYPE_HEADER))


def stream(*names: str) -> list[Read]:
    """Events as a Shop names them; "!a" is the deletion of the user a."""
    return [
        deletion(offset, name[1:]) if name[0] == "!" else record(offset, name[0].encode(), event(name))
        for offset, name in enumerate(names)
    ]


def told(sink: Sink) -> list[list[str]]:
    """What each request asked for, in the notation of `stream`."""
    return [["!" + got.path.removeprefix(f"{USER}/")] if got.path.startswith(USER) else got.names for got in sink.got]


async def test_a_deletion_travels_alone_and_nothing_of_its_user_overtakes_it(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        shop.feed_records(stream("a1", "b1", "!a", "a2", "b2", "!b", "!a", "a3"))
        await shop.until(lambda: shop.finished)
        requests = told(sink)
        assert [each for each in requests if each[0][0] == "!"] in ([["!a"], ["!b"], ["!a"]], [["!a"], ["!a"], ["!b"]])
        assert all(len(each) == 1 for each in requests if each[0][0] == "!")
        order = [name for names in requests for name in names]
        assert [name for name in order if "a" in name] == ["a1", "!a", "a2", "!a", "a3"]
        assert [name for name in order if "b" in name] == ["b1", "b2", "!b"]
        assert shop.committable() == (8, 8, 0)


async def test_it_is_a_barrier_for_its_key_only_and_is_tried_again(sink: Sink) -> None:
    held = asyncio.Event()
    sink.answer = lambda got: Say(200, {"ok": True}, after=held) if got.path.startswith(USER) else OK
    async with open_shop(sink) as shop:
        shop.feed_records(stream("a1", "!a", "a2", "b1", "c1"))
        await shop.until(lambda: len(sink.got) == 3)
        assert sorted(told(sink)) == [["!a"], ["a1"], ["b1", "c1"]]
        sink.say(Say(500, {"error": "oops"}), RESET)
        held.set()
        await shop.until(lambda: shop.finished, step=0.1)
        assert told(sink)[3:] == [["a2"]] * 3
        assert shop.committable() == (5, 5, 0)


@pytest.mark.parametrize(
    "failure", [Say(500, {"error": "oops"}), RESET, Say(429, {"error": "slow"}), Say(404, b"<html>")]
)
async def test_a_deletion_that_fails_is_asked_for_again(sink: Sink, failure: Say) -> None:
    async with open_shop(sink) as shop:
        sink.say(failure, OK)
        shop.feed_records(stream("!a/b ?", "b1"))
        await shop.until(lambda: shop.finished, step=0.5)
        # The sink shows paths decoded.
        assert sorted(told(sink)) == [["!a/b ?"], ["!a/b ?"], ["b1"]]
        assert shop.committable() == (2, 2, 0)


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_one_that_is_refused_is_a_dead_letter_and_holds_nobody_back(sink: Sink, status: int) -> None:
    async with open_shop(sink) as shop:
        sink.answer = lambda got: Say(status, {"error": "no such user"}) if got.path.startswith(USER) else OK
        shop.feed_records(stream("!a", "a1", "b1"))
        await shop.until(lambda: shop.finished, step=0.1)
        assert shop.committable() == (3, 2, 1)
        ((_, _, (key, value, headers)),) = shop.publisher.published
        assert (key, value) == (b"a", b'{"user_id":"a"}')
        assert dict(headers)["error"] == b"no such user"
        assert shop.route.flowing


@pytest.mark.parametrize(
    "answer",
    [
        Say(401, {"error": "secret key required"}),
        Say(403, {"error": "No", "code": "FEATURE_GATED"}),
        Say(405, b"<html>"),
        Say(403, b"<html>"),
    ],
)
async def test_one_that_may_not_be_waits_and_holds_nobody_else_back(sink: Sink, answer: Say) -> None:
    async with open_shop(sink) as shop:
        sink.answer = lambda got: answer if got.path.startswith(USER) else OK
        shop.feed_records(stream("!a", "a1", "b1"))
        await shop.until(lambda: len(sink.got) >= 4, step=0.1)
        assert told(sink).count(["b1"]) == 1
        assert ["a1"] not in told(sink)
        assert shop.route.flowing
        sink.answer = lambda _got: OK
        await shop.until(lambda: shop.finished, step=1)
        assert shop.committable() == (3, 3, 0)


async def test_what_only_looks_like_one_is_an_event(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        looks = orjson.dumps({"user_id": "a", "name": "a1"})
        shop.feed_records(
            [record(0, b"a", looks), record(1, b"a", b'{"user_id":5,"name":"a2"}', headers=(DELETION_TYPE_HEADER,))]
        )
        await shop.until(lambda: shop.finished)
        assert told(sink) == [["a1", "a2"]]


async def test_what_is_given_up_is_read_again(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        hold = asyncio.Event()
        sink.say(Say(200, {"ok": True}, after=hold))
        records = stream("a1", "!a", "!b")
        shop.feed_records(records)
        await shop.until(lambda: sink.open)
        await shop.route.withdraw([0], 0)
        hold.set()
        sink.got.clear()
        shop.tracker = Tracker(0, Tally(0))
        shop.route.assign({0: shop.tracker})
        shop.feed_records(records)
        await shop.until(lambda: shop.finished)
        assert sorted(told(sink)) == [["!a"], ["!b"], ["a1"]]
        assert told(sink).index(["a1"]) < told(sink).index(["!a"])


async def test_it_is_one_record_in_the_balance(builder: Builder) -> None:
    town = await builder.town()
    topic = events_topic(town.names[0])
    await town.accept("a1", "b1", "a2")
    gone: list[Message] = [(b"a", b'{"user_id":"a"}', [("ce_id", b"x"), DELETION_TYPE_HEADER])]
    await town.publisher.publish(topic, partition_of(b"a", await town.broker.partitions(topic)), gone)
    await town.accept("a3")
    async with town.forwarder():
        await until(lambda: ["a3"] in told(town.sink))
    order = [name for names in told(town.sink) for name in names]
    assert [name for name in order if "a" in name] == ["a1", "a2", "!a", "a3"]
    balance = await town.balance()
    assert (balance.accepted, balance.delivered, balance.waiting, balance.unaccounted) == (5, 5, 0, 0)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_the_api_does_nothing_of_a_user_passes_a_deletion(sink: Sink, seed: int) -> None:
    chance = seeded(seed)
    faults = [Say(500, {"error": "oops"}), RESET, Say(429, {"error": "slow"}), Say(404, b"<html>")]
    sink.answer = lambda _got: chance.choice(faults) if chance.random() < 0.3 else OK
    numbers = dict.fromkeys("abcd", 0)
    names: list[str] = []
    for _ in range(200):
        key = chance.choice("abcd")
        numbers[key] += 1
        names.append(f"!{key}" if chance.random() < 0.2 else f"{key}{numbers[key]}")
    async with open_shop(sink, seed=seed, max_batch_events=chance.randint(1, 20), max_in_flight=6) as shop:
        records = stream(*names)
        for start in range(0, len(records), 20):
            shop.feed_records(records[start : start + 20])
            await shop.advance(0.1)
        await shop.until(lambda: shop.finished, step=2)
        assert shop.committable() == (200, 200, 0)
    for key in "abcd":
        mine = [name for name in names if key in name]
        parts = ([name for name in request if key in name] for request in told(sink))
        # What is tried again is sent as it was.
        arrived = [name for part, _ in groupby(filter(None, parts)) for name in part]
        assert [name for name, _ in groupby(arrived)] == [name for name, _ in groupby(mine)]
