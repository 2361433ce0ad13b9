"""Single events that leave together: fewer calls of the publisher, and each answered as if it had come alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from structlog.testing import capture_logs

from broker.interface import NotAcknowledged, RecordTooLarge
from schemas.topics import partition_of
from tests.broker.waiting import eventually
from tests.gateway.conftest import PARTITIONS
from tests.gateway.test_express import VIEW, connected, request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from broker.interface import Message
    from gateway.express import Head
    from tests.gateway.conftest import Gateway

TOPIC = "ecommerce.events.acme"


class Waiting:
    """Who sent one event, and what it was answered."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def answered(self, answer: bytes) -> None:
        self.answers.append(answer)

    @property
    def status(self) -> int:
        (answer,) = self.answers
        return int(answer.split(b" ", 2)[1])

    @property
    def body(self) -> Any:
        return orjson.loads(self.answers[0].partition(b"\r\n\r\n")[2])

    @property
    def request_id(self) -> bytes:
        return self.answers[0].partition(b"X-Request-Id: ")[2][:32]


def view(user: int) -> bytes:
    return b'{"event_type":"view_cart","user_id":"u%d"}' % user


def purchase(user: int) -> bytes:
    return b'{"event_type":"purchase","transaction_id":"t%d","revenue":1,"user_id":"u%d"}' % (user, user)


@pytest.fixture
async def known(gateway: Gateway) -> Head:
    """A head of single events that the gateway knows; nothing is counted yet but the event that taught it."""
    async with connected(gateway) as connection:
        assert await connection.ask(request()) == (200, {"ok": True})
    gateway.publisher.published.clear()
    gateway.publisher.precious.clear()
    (head,) = gateway.edge.express.heads.values()
    return head


async def send(gateway: Gateway, head: Head, bodies: Sequence[bytes]) -> list[Waiting]:
    """Send all of them in one round of the loop, and wait for the answers."""
    senders = [Waiting() for _ in bodies]
    for body, sender in zip(bodies, senders, strict=True):
        assert gateway.edge.express.carry_out(head, body, sender)
    await eventually(lambda: all(sender.answers for sender in senders), "all are answered")
    return senders


def told(gateway: Gateway, result: str) -> float:
    return sum(
        gateway.metric("sluice_gateway_events_total", storefront="acme", event_type=kind, result=result)
        for kind in ("view_cart", "purchase")
    )


async def test_one_call_for_each_partition_and_an_answer_for_each_sender(gateway: Gateway, known: Head) -> None:
    bodies = [view(user) for user in range(40)]
    senders = await send(gateway, known, bodies)
    assert {sender.status for sender in senders} == {200}
    assert len(gateway.publisher.precious) == len({partition_of(b"u%d" % user, PARTITIONS) for user in range(40)})
    found = {each.value: each for each in gateway.publisher.of(TOPIC)}
    assert set(found) == set(bodies)
    for body, sender in zip(bodies, senders, strict=True):
        assert found[body].headers["ce_id"] == sender.request_id + b"-0"
    assert len({sender.request_id for sender in senders}) == len(senders)
    assert told(gateway, "accepted") == 1 + len(bodies)
    assert gateway.metric("sluice_gateway_request_seconds_count", route="track", status="200") == 1 + len(bodies)
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


async def test_order_of_a_key_is_that_of_their_coming(gateway: Gateway, known: Head) -> None:
    bodies = [b'{"event_type":"view_cart","user_id":"u1","n":%d}' % n for n in range(20)]
    await send(gateway, known, bodies)
    assert [each.value for each in gateway.publisher.of(TOPIC)] == bodies
    assert len(gateway.publisher.precious) == 1


async def test_purchases_bring_no_other_into_the_room_kept_for_them(gateway: Gateway, known: Head) -> None:
    await send(gateway, known, [view(1), purchase(1), view(1), purchase(1)])
    assert sorted(gateway.publisher.precious) == [False, True]
    assert [each.value for each in gateway.publisher.of(TOPIC)] == [view(1)] * 2 + [purchase(1)] * 2


async def test_events_without_a_key_are_spread(gateway: Gateway, known: Head) -> None:
    await send(gateway, known, [b'{"event_type":"view_cart"}'] * (2 * PARTITIONS))
    assert sorted(each.partition for each in gateway.publisher.of(TOPIC)) == sorted([*range(PARTITIONS)] * 2)


async def test_one_that_is_too_large_for_its_topic_costs_the_others_nothing(
    gateway: Gateway, known: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = gateway.publisher.publish

    def picky(
        topic: str, partition: int, messages: Sequence[Message], *, precious: bool = False
    ) -> asyncio.Future[None]:
        if any(value is not None and b"large" in value for _, value, _ in messages):
            raise RecordTooLarge("too large")
        return publish(topic, partition, messages, precious=precious)

    monkeypatch.setattr(gateway.publisher, "publish", picky)
    large = b'{"event_type":"view_cart","user_id":"u1","coupon_code":"large"}'
    senders = await send(gateway, known, [view(1), large, view(1)])
    assert [sender.status for sender in senders] == [200, 413, 200]
    assert senders[1].body["code"] == "TOO_LARGE"
    assert [each.value for each in gateway.publisher.of(TOPIC)] == [view(1)] * 2
    assert (told(gateway, "accepted"), told(gateway, "unavailable")) == (3, 1)
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_is_not_durable_is_said_to_each(gateway: Gateway, known: Head, *, at_once: bool) -> None:
    error = NotAcknowledged("no answer")
    if at_once:
        gateway.publisher.refuses = error
    else:
        gateway.publisher.fails = error
    senders = await send(gateway, known, [view(user) for user in range(10)])
    assert {(sender.status, sender.body["code"]) for sender in senders} == {(503, "NOT_DURABLE")}
    assert told(gateway, "unavailable") == len(senders)
    assert gateway.metric("sluice_gateway_request_seconds_count", route="track", status="503") == len(senders)
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


async def test_what_a_topic_takes_may_be_known_too_late_to_say_whom_it_is_about(gateway: Gateway, known: Head) -> None:
    gateway.publisher.fails = RecordTooLarge("too large")
    alone = await send(gateway, known, [view(1)])
    together = await send(gateway, known, [view(1), view(1)])
    assert [sender.status for sender in (*alone, *together)] == [413, 503, 503]
    assert together[0].body["code"] == "NOT_DURABLE"
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


@pytest.mark.parametrize("where", ["making records", "publishing"])
async def test_a_fault_of_ours_is_an_answer_too(
    gateway: Gateway, known: Head, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def faulty(*_: object, **__: object) -> None:
        raise ArithmeticError("ours")

    if where == "publishing":
        monkeypatch.setattr(gateway.publisher, "publish", faulty)
    else:
        monkeypatch.setattr(gateway.edge.express.intake, "_records", faulty)
    with capture_logs() as lines:
        senders = await send(gateway, known, [view(1), view(2)])
    assert {(sender.status, sender.body["code"]) for sender in senders} == {(500, "INTERNAL")}
    assert "requests failed" in {line["event"] for line in lines}
    assert gateway.publisher.of(TOPIC) == []
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


async def test_there_is_no_room_for_it(gateway: Gateway, known: Head) -> None:
    in_flight = gateway.edge.express.in_flight
    free, in_flight.free_requests = in_flight.free_requests, 0
    assert not gateway.edge.express.carry_out(known, VIEW, Waiting())
    in_flight.free_requests = free
    (sender,) = await send(gateway, known, [VIEW])
    assert sender.status == 200
