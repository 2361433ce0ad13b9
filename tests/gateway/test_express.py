"""A head that was understood before: the same answers as the long way, and nothing that gets past it."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

import orjson
import pytest

from broker.interface import Full, NotAcknowledged
from gateway.express import HEADS
from gateway.server import Protocol
from tests.broker.waiting import eventually
from tests.gateway.conftest import BATCH, PUBLISHABLE, TRACK, storefront

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.gateway.conftest import Gateway

TOPIC = "ecommerce.events.acme"
VIEW = b'{"event_type":"view_cart","user_id":"u1"}'


def request(body: bytes = VIEW, path: str = TRACK, lines: bytes = b"") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {PUBLISHABLE}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + lines + b"\r\n" + body


class Connection:
    """One connection, and the answers on it in their order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> Self:
        self.writer.write(data)
        await self.writer.drain()
        return self

    async def answer(self) -> tuple[int, Any, dict[str, str]]:
        async with asyncio.timeout(5):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(status.split()[1]), orjson.loads(body), headers

    async def ask(self, data: bytes) -> tuple[int, Any]:
        status, body, _ = await (await self.send(data)).answer()
        return status, body


@asynccontextmanager
async def connected(gateway: Gateway) -> AsyncIterator[Connection]:
    port = int(gateway.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What went the long way, through the parser."""
    pieces: list[bytes] = []
    parse = Protocol._parse

    def spy(self: Protocol, data: bytes) -> None:
        pieces.extend([data] if data else [])
        parse(self, data)

    monkeypatch.setattr(Protocol, "_parse", spy)
    return pieces


def values(gateway: Gateway) -> list[bytes | None]:
    return [each.value for each in gateway.publisher.of(TOPIC)]


async def test_a_head_is_parsed_once_for_all_connections(gateway: Gateway, parsed: list[bytes]) -> None:
    for _ in range(2):
        async with connected(gateway) as connection:
            for _ in range(3):
                assert await connection.ask(request()) == (200, {"ok": True})
    assert parsed == [request()]
    assert values(gateway) == [VIEW] * 6
    ids = {each.headers["ce_id"] for each in gateway.publisher.published}
    assert len(ids) == 6
    assert gateway.metric(
        "sluice_gateway_events_total", storefront="acme", event_type="view_cart", result="accepted"
    ) == len(ids)
    assert gateway.metric("sluice_gateway_request_seconds_count", route="track", status="200") == len(ids)
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


async def test_its_answers_are_those_of_the_long_way(gateway: Gateway, parsed: list[bytes]) -> None:
    batch = b'{"events":[' + b",".join([VIEW] * 3) + b"]}"
    async with connected(gateway) as connection:
        for body, path, said in ((VIEW, TRACK, {"ok": True}), (batch, BATCH, {"ok": True, "accepted": 3})):
            long = await (await connection.send(request(body, path))).answer()
            assert long[1] == said
            short = await (await connection.send(request(body, path))).answer()
            assert short[:2] == long[:2]
            assert short[2].keys() == long[2].keys()
            assert re.fullmatch("[0-9a-f]{32}", short[2]["x-request-id"])
            assert short[2]["x-request-id"] != long[2]["x-request-id"]
    assert len(parsed) == 2


async def test_a_faulty_event_of_a_known_head_is_refused_in_words(gateway: Gateway, parsed: list[bytes]) -> None:
    async with connected(gateway) as connection:
        assert await connection.ask(request()) == (200, {"ok": True})
        for faulty, words in (
            (b'{"event_type":"view_cart","user_id":"u1"]', "body is not valid JSON"),
            (b'{"event_type":"view_card","user_id":"u1"}', "Invalid ecommerce event_type"),
        ):
            assert len(faulty) == len(VIEW)
            status, body = await connection.ask(request(faulty))
            assert status == 400
            assert words in body["error"]
        assert await connection.ask(request()) == (200, {"ok": True})
        assert len(parsed) == 3, "the faulty ones and the first"
        assert await connection.ask(request()) == (200, {"ok": True})
    assert values(gateway) == [VIEW] * 3
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


async def test_a_key_in_the_body_is_seen_behind_a_known_head(
    start: Callable[..., Awaitable[Gateway]], parsed: list[bytes]
) -> None:
    gateway = await start(storefront("acme"), storefront("other"))
    carrying = b'{"event_type":"view_cart","apiKey":"' + b"k" * 4 + b'"}'
    plain = b'{"event_type":"view_cart","note":"' + b"x" * (len(carrying) - 36) + b'"}'
    assert len(plain) == len(carrying)
    async with connected(gateway) as connection:
        assert await connection.ask(request(plain)) == (200, {"ok": True})
        assert await connection.ask(request(carrying)) == (200, {"ok": True})
    assert len(parsed) == 2
    assert values(gateway) == [plain, b'{"event_type":"view_cart"}'], "the key in it is nobody's business"


@pytest.mark.parametrize(
    "lines",
    [
        b"Origin: https://shop.example\r\n",
        b"Idempotency-Key: 1\r\n",
        b"Content-Encoding: identity\r\n",
        b"X-Anything: 1\r\n",
        b"X: " + b"y" * 2048 + b"\r\n",
        b"Connection: close\r\n",
    ],
)
async def test_what_is_not_plain_is_never_learnt(gateway: Gateway, lines: bytes) -> None:
    async with connected(gateway) as connection:
        await connection.ask(request(lines=lines))
    assert gateway.edge.express.heads == {}


async def test_a_storefront_with_a_limit_is_never_learnt(start: Callable[..., Awaitable[Gateway]]) -> None:
    gateway = await start(storefront("acme", events_per_second=1000))
    async with connected(gateway) as connection:
        assert (await connection.ask(request()))[0] == 200
    assert gateway.edge.express.heads == {}


async def test_senders_that_are_written_down_are_never_learnt(start: Callable[..., Awaitable[Gateway]]) -> None:
    gateway = await start(record_client="full")
    async with connected(gateway) as connection:
        for _ in range(2):
            assert (await connection.ask(request()))[0] == 200
    assert gateway.edge.express.heads == {}
    assert [each.headers["client_address"] for each in gateway.publisher.published] == [b"127.0.0.1"] * 2


async def test_what_looks_like_a_known_request_within_another_is_part_of_that(gateway: Gateway) -> None:
    async with connected(gateway) as connection:
        assert await connection.ask(request()) == (200, {"ok": True})
        # A body in two pieces, of which the second looks like a request of its own.
        inner = request()
        outer = b'{"event_type":"view_cart","note":' + orjson.dumps(inner.decode()) + b"}"
        whole = request(outer)
        assert inner not in whole, "JSON escapes it: the raw one comes as a body that is no JSON"
        raw = request(b"x" * 10 + inner)
        at = len(raw) - len(inner)
        await connection.send(raw[:at])
        await asyncio.sleep(0.05)
        assert (await connection.ask(raw[at:]))[0] == 400
    async with connected(gateway) as connection:
        # A head in two pieces, of which the second looks like a request.
        await connection.send(b"POST / HTTP/1.1\r\nHost: x\r\nX-Odd: ")
        await asyncio.sleep(0.05)
        status, _ = await connection.ask(inner)
        assert status in (400, 404, 405)
    assert values(gateway) == [VIEW]


async def test_a_body_in_pieces_goes_the_long_way_and_the_next_by_express(
    gateway: Gateway, parsed: list[bytes]
) -> None:
    async with connected(gateway) as connection:
        for _ in range(2):
            await connection.send(request()[:-10])
            await asyncio.sleep(0.05)
            assert await connection.ask(request()[-10:]) == (200, {"ok": True})
        assert len(parsed) == 4
        assert await connection.ask(request()) == (200, {"ok": True})
    assert len(parsed) == 4
    assert values(gateway) == [VIEW] * 3


async def test_what_comes_behind_waits_for_its_turn(gateway: Gateway) -> None:
    other = VIEW.replace(b"u1", b"u2")
    async with connected(gateway) as connection:
        assert await connection.ask(request()) == (200, {"ok": True})
        gateway.publisher.held = []
        await connection.send(request())
        held = await gateway.publisher.hold(1)
        await connection.send(request(other) + request() + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.05)
        assert values(gateway) == [VIEW] * 2, "nothing of what came behind is begun"
        gateway.publisher.held = None
        held[0].set_result(None)
        assert [(await connection.answer())[0] for _ in range(4)] == [200, 200, 200, 404]
    assert values(gateway) == [VIEW, VIEW, other, VIEW]


@pytest.mark.parametrize(
    ("at_once", "error", "status", "code"),
    [
        (False, NotAcknowledged("late"), 503, "NOT_DURABLE"),
        (True, Full("too much"), 503, "OVERLOADED"),
    ],
)
async def test_without_an_acknowledgement_nothing_is_claimed(
    gateway: Gateway, error: Exception, status: int, code: str, *, at_once: bool
) -> None:
    async with connected(gateway) as connection:
        assert await connection.ask(request()) == (200, {"ok": True})
        setattr(gateway.publisher, "refuses" if at_once else "fails", error)
        answer = await (await connection.send(request())).answer()
        assert answer[0] == status
        assert answer[1]["code"] == code
        assert int(answer[2]["retry-after"]) >= 1
        gateway.publisher.refuses = gateway.publisher.fails = None
        assert await connection.ask(request()) == (200, {"ok": True})
    assert (
        gateway.metric("sluice_gateway_events_total", storefront="acme", event_type="view_cart", result="unavailable")
        == 1
    )
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


async def test_a_request_that_waits_is_answered_at_the_end_and_its_connection_closed(gateway: Gateway) -> None:
    async with connected(gateway) as connection:
        assert await connection.ask(request()) == (200, {"ok": True})
        gateway.publisher.held = []
        await connection.send(request())
        held = await gateway.publisher.hold(1)
        gateway.edge.drain()
        protocols = [each for each in _protocols() if each.transport is not None]
        for protocol in protocols:
            protocol.close()
        held[0].set_result(None)
        assert (await connection.answer())[0] == 200
        assert await connection.reader.read() == b""
    assert gateway.edge.express.heads == {}


def _protocols() -> list[Protocol]:
    import gc  # noqa: PLC0415  # nowhere else

    return [each for each in gc.get_objects() if isinstance(each, Protocol)]


async def test_a_sender_that_is_gone_leaves_nothing_behind(gateway: Gateway) -> None:
    async with connected(gateway) as connection:
        assert await connection.ask(request()) == (200, {"ok": True})
        gateway.publisher.held = []
        await connection.send(request())
        held = await gateway.publisher.hold(1)
        connection.writer.transport.abort()
    await eventually(lambda: all(each.transport is None for each in _protocols()), "its connection gone")
    held[0].set_result(None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0
    assert values(gateway) == [VIEW] * 2


async def test_what_is_known_is_bounded_and_can_be_forgotten(gateway: Gateway, parsed: list[bytes]) -> None:
    express = gateway.edge.express
    async with connected(gateway) as connection:
        assert await connection.ask(request()) == (200, {"ok": True})
        (found,) = express.heads.values()
        express.heads.update({b"%d" % n: found for n in range(HEADS)})
        longer = VIEW.replace(b"u1", b"u11")
        assert await connection.ask(request(longer)) == (200, {"ok": True})
        assert len(express.heads) == 1
        express.forget()
        assert await connection.ask(request()) == (200, {"ok": True})
    assert parsed == [request(), request(longer), request()]
