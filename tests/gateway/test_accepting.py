"""track and batch: the seed's answers, and what stands in the topics afterwards."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from broker.interface import Full, NotAcknowledged, RecordTooLarge, Unavailable
from tests.gateway.conftest import BATCH, PARTITIONS, PUBLISHABLE, SECRET, TRACK, storefront

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.gateway.conftest import Gateway

PURCHASE = {"event_type": "purchase", "transaction_id": "order_456", "revenue": 49.99, "user_id": "user_123"}
VIEW = {"event_type": "view_cart"}


async def test_track_answers_as_the_seed_and_publishes_the_very_bytes(gateway: Gateway) -> None:
    body = b' {"event_type" : "view_cart", "user_id":"user_123", "n": 1.10, "unknown":{"kept":[1]} }\n'
    answer = await gateway.post(TRACK, body)
    assert (answer.status, answer.body) == (200, {"ok": True})
    [record] = gateway.publisher.published
    assert record.topic == "ecommerce.events.acme"
    assert (record.key, record.value) == (b"user_123", body)
    assert record.partition == zlib.crc32(b"user_123") % PARTITIONS
    assert record.headers == {
        "ce_specversion": b"1.0",
        "ce_id": answer.headers["X-Request-Id"].encode() + b"-0",
        "ce_source": b"/storefronts/acme",
        "ce_type": b"ecommerce.view_cart",
        "ce_time": b"2027-01-15T08:00:00.123Z",
        "content-type": b"application/json",
    }


async def test_batch_answers_as_the_seed_and_keeps_bytes_and_order(gateway: Gateway) -> None:
    events = [b'{"event_type":"view_cart","user_id":"u","n":%d}' % number for number in range(100)]
    answer = await gateway.post(BATCH, b'{"events": [' + b" , ".join(events) + b"]}")
    assert (answer.status, answer.body) == (200, {"ok": True, "accepted": 100})
    assert [each.value for each in gateway.publisher.published] == events
    ids = [each.headers["ce_id"].decode() for each in gateway.publisher.published]
    assert ids == [f"{answer.headers['X-Request-Id']}-{number}" for number in range(100)]


async def test_a_batch_is_judged_event_by_event(gateway: Gateway) -> None:
    answer = await gateway.post(BATCH, {"events": [{"event_type": "purchase"}, VIEW, {"event_type": "gone"}, 5]})
    assert answer.status == 200
    assert answer.body == {
        "ok": True,
        "accepted": 1,
        "errors": [
            "events[0]: transaction_id is required for purchase events",
            "events[2]: Invalid ecommerce event_type",
            "events[3]: event must be an object",
        ],
    }
    assert [each.value for each in gateway.publisher.of("ecommerce.events.acme")] == [orjson.dumps(VIEW)]
    rejected = gateway.publisher.of("ecommerce.rejected")
    assert [each.value for each in rejected] == [b'{"event_type":"purchase"}', b'{"event_type":"gone"}', b"5"]
    assert all(each.key == each.headers["storefront"] == b"acme" for each in rejected)
    assert rejected[0].headers["reason"] == b"transaction_id is required for purchase events"
    assert rejected[0].headers["client_request"].decode() == answer.headers["X-Request-Id"]
    assert (
        gateway.metric("sluice_gateway_events_total", storefront="acme", event_type="view_cart", result="accepted") == 1
    )
    assert (
        gateway.metric("sluice_gateway_events_total", storefront="acme", event_type="purchase", result="refused") == 1
    )
    assert gateway.metric("sluice_gateway_events_total", storefront="acme", event_type="invalid", result="refused") == 2


async def test_a_batch_of_faulty_events_only_is_a_200_with_none_accepted(gateway: Gateway) -> None:
    answer = await gateway.post(BATCH, {"events": [{}]})
    assert (answer.status, answer.body) == (
        200,
        {"ok": True, "accepted": 0, "errors": ["events[0]: event_type is required"]},
    )


async def test_track_refuses_in_the_seeds_words(gateway: Gateway) -> None:
    answer = await gateway.post(TRACK, {"event_type": "purchase", "transaction_id": "order_1"})
    assert answer.status == 400
    assert answer.body == {"error": "revenue is required for purchase events", "code": "INVALID_EVENT"}
    assert len(gateway.publisher.of("ecommerce.rejected")) == 1


@pytest.mark.parametrize("body", [{}, {"events": []}, {"events": None}, {"events": 5}, [], 3, None, {"events": {}}])
async def test_a_batch_without_events_is_refused(gateway: Gateway, body: Any) -> None:
    answer = await gateway.post(BATCH, orjson.dumps(body))
    assert answer.status == 400
    assert answer.body == {"error": "events array is required and must not be empty", "code": "INVALID_EVENT"}


async def test_more_than_100_events_are_refused_as_a_whole(gateway: Gateway) -> None:
    answer = await gateway.post(BATCH, {"events": [VIEW] * 101})
    assert (answer.status, answer.body) == (400, {"error": "Maximum 100 events per batch", "code": "TOO_MANY_EVENTS"})
    assert not gateway.publisher.published


async def test_max_batch_events_raises_that(start: Callable[..., Awaitable[Gateway]]) -> None:
    gateway = await start(max_batch_events=500)
    assert (await gateway.post(BATCH, {"events": [VIEW] * 500})).body["accepted"] == 500
    assert (await gateway.post(BATCH, {"events": [VIEW] * 501})).body["error"] == "Maximum 500 events per batch"


@pytest.mark.parametrize(
    ("identity", "key"),
    [
        ({"user_id": "u", "cart_id": "c", "transaction_id": "t"}, b"u"),
        ({"user_id": "", "cart_id": "c", "transaction_id": "t"}, b"c"),
        ({"user_id": None, "transaction_id": "t"}, b"t"),
        ({"user_id": "Žofie \N{GRINNING FACE}"}, "Žofie \N{GRINNING FACE}".encode()),
    ],
)
async def test_the_key_is_user_else_cart_else_transaction(
    gateway: Gateway, identity: dict[str, Any], key: bytes
) -> None:
    await gateway.post(TRACK, VIEW | identity)
    [record] = gateway.publisher.published
    assert (record.key, record.partition) == (key, zlib.crc32(key) % PARTITIONS)


async def test_of_a_name_that_stands_twice_the_last_counts(gateway: Gateway) -> None:
    event = b'{"event_type":"view_cart","user_id":5,"user_id":"u","items":3,"items":[]}'
    assert (await gateway.post(TRACK, event)).status == 200
    assert (await gateway.post(BATCH, b'{"events":[%b]}' % event)).body == {"ok": True, "accepted": 1}
    assert [(each.key, each.value) for each in gateway.publisher.published] == [(b"u", event)] * 2


async def test_events_without_a_key_are_spread(gateway: Gateway) -> None:
    for _ in range(PARTITIONS):
        await gateway.post(TRACK, VIEW)
    assert {each.partition for each in gateway.publisher.published} == set(range(PARTITIONS))
    assert {each.key for each in gateway.publisher.published} == {None}


async def test_a_key_in_the_body_is_taken_and_not_stored(gateway: Gateway) -> None:
    body = b'{"apiKey":"tolk_pub_acme", "event_type":"view_cart","revenue": 1.10,"note":"\\u00e9 kept"}'
    assert (await gateway.post(TRACK, body, key=None)).status == 200
    assert (await gateway.post(TRACK, body, key=SECRET)).status == 200
    faulty = b'{"event_type":"gone", "apiKey": "tolk_pub_acme"}'
    assert (await gateway.post(TRACK, faulty, key=None)).status == 400
    stored = b'{"event_type":"view_cart","revenue":1.10,"note":"\\u00e9 kept"}'
    assert [each.value for each in gateway.publisher.published] == [stored, stored, b'{"event_type":"gone"}']


async def test_a_beacons_batch_carries_its_key(gateway: Gateway) -> None:
    answer = await gateway.post(BATCH, {"events": [VIEW], "apiKey": PUBLISHABLE}, key=None)
    assert answer.body == {"ok": True, "accepted": 1}
    assert gateway.publisher.published[0].value == orjson.dumps(VIEW)


async def test_a_header_beats_the_body(gateway: Gateway) -> None:
    answer = await gateway.post(BATCH, {"events": [VIEW], "apiKey": PUBLISHABLE}, key="tolk_pub_wrong")
    assert answer.status == 401


async def test_purchases_and_refunds_have_ids_of_their_own(gateway: Gateway) -> None:
    refund = {"event_type": "refund", "transaction_id": "order_456", "revenue": 5}
    for event in (PURCHASE, PURCHASE | {"revenue": 50}, refund, refund, refund | {"revenue": 6}):
        assert (await gateway.post(TRACK, event)).status == 200
    ids = [each.headers["ce_id"] for each in gateway.publisher.published]
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert len(set(ids)) == 3
    assert all(len(each) == 32 for each in ids)


async def test_an_idempotency_key_gives_a_repeated_request_the_same_ids(gateway: Gateway) -> None:
    async def send(event: Any, key: str) -> bytes:
        assert (await gateway.post(TRACK, event, headers={"Idempotency-Key": key})).status == 200
        return gateway.publisher.published[-1].headers["ce_id"]

    first = await send(VIEW, "attempt")
    assert await send(VIEW, "attempt") == first
    assert await send(VIEW, "other") != first
    assert await send(VIEW | {"user_id": "u"}, "attempt") != first
    assert first.endswith(b"-0")
    for key in ("x" * 256, "", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"):
        answer = await gateway.post(TRACK, VIEW, headers={"Idempotency-Key": key})
        assert (answer.status, answer.body["code"]) == (400, "BAD_REQUEST")


async def test_an_answer_waits_for_the_acknowledgement(gateway: Gateway) -> None:
    gateway.publisher.held = []
    request = asyncio.ensure_future(gateway.post(BATCH, {"events": [VIEW | {"user_id": str(n)} for n in range(20)]}))
    await gateway.publisher.hold(PARTITIONS)
    for future in gateway.publisher.held[1:]:
        future.set_result(None)
    await asyncio.sleep(0.05)
    assert not request.done()
    gateway.publisher.held[0].set_result(None)
    assert (await request).body == {"ok": True, "accepted": 20}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotAcknowledged("no acknowledgement"), 503, "NOT_DURABLE"),
        (Unavailable("broker is away"), 503, "NOT_DURABLE"),
        (Full("64 MiB wait"), 503, "OVERLOADED"),
        (RecordTooLarge("2097153 bytes"), 413, "TOO_LARGE"),
    ],
)
@pytest.mark.parametrize("event", [VIEW, {"event_type": "gone"}])
async def test_without_an_acknowledgement_nothing_is_claimed(
    gateway: Gateway, error: Any, status: int, code: str, event: Any
) -> None:
    for attribute in ("refuses", "fails"):
        setattr(gateway.publisher, attribute, error)
        for path, body in ((TRACK, event), (BATCH, {"events": [event]})):
            answer = await gateway.post(path, body)
            assert (answer.status, answer.body["code"]) == (status, code)
            assert str(error) not in answer.body["error"]
            assert status != 503 or int(answer.headers["Retry-After"]) >= 1
        setattr(gateway.publisher, attribute, None)
    kind = "view_cart" if event is VIEW else "invalid"
    assert gateway.metric("sluice_gateway_events_total", storefront="acme", event_type=kind, result="unavailable") == 4


async def test_a_storefront_over_its_rate_is_told_when_to_return(start: Callable[..., Awaitable[Gateway]]) -> None:
    gateway = await start(storefront("acme", events_per_second=100), storefront("other"))
    assert (await gateway.post(BATCH, {"events": [VIEW] * 100})).status == 200
    answer = await gateway.post(BATCH, {"events": [VIEW] * 100})
    assert (answer.status, answer.body) == (
        429,
        {"error": "Too many requests. Please slow down.", "code": "RATE_LIMITED"},
    )
    assert int(answer.headers["Retry-After"]) >= 1
    assert (await gateway.post(BATCH, {"events": [VIEW] * 100}, key="tolk_pub_other")).status == 200
    await gateway.process.clock.advance(1)  # type: ignore[attr-defined] # the tests' clock can
    assert (await gateway.post(BATCH, {"events": [VIEW] * 100})).status == 200
