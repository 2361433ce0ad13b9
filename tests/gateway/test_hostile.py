"""Senders that mean ill or mean nothing: too slow, too much, or with two minds about where a request ends."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from gateway.connections import MAX_CONNECTIONS, claim_connections
from gateway.patience import Patience
from gateway.server import make_server
from tests.gateway.conftest import TRACK
from tests.gateway.wire import HEAD, VIEW, WHOLE, Said, said_to, wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.gateway.conftest import Gateway

CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"1a\r\n" + VIEW + b"\r\n0\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(VIEW)
SHORT = Patience(head_seconds=0.2, stall_seconds=0.2, grace_seconds=0.4, bytes_per_second=200, look_seconds=0.02)


@pytest.fixture
async def impatient(start: Callable[..., Awaitable[Gateway]], monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """A gateway whose patience is short."""
    monkeypatch.setattr("gateway.server.Patience", lambda: SHORT)
    return await start()


SMUGGLED = {
    "both lengths": LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    "both lengths, the other first": CHUNKED + LENGTH + b"\r\n" + CHUNKS,
    "both, one empty": LENGTH + b"Transfer-Encoding:\r\n\r\n" + VIEW,
    "two lengths": LENGTH + b"Content-Length: 5\r\n\r\n" + VIEW,
    "the same length twice": LENGTH + LENGTH + b"\r\n" + VIEW,
    "a list of lengths": b"Content-Length: 26, 26\r\n\r\n" + VIEW,
    "a signed length": b"Content-Length: +26\r\n\r\n" + VIEW,
    "a hexadecimal length": b"Content-Length: 0x1a\r\n\r\n" + VIEW,
    "a length in two words": b"Content-Length: 2 6\r\n\r\n" + VIEW,
    "a length with an underscore": b"Content-Length: 2_6\r\n\r\n" + VIEW,
    "an empty length": b"Content-Length:\r\n\r\n" + VIEW,
    "a length beyond 64 bits": b"Content-Length: 18446744073709551642\r\n\r\n" + VIEW,
    "a space before the colon": b"Content-Length : 26\r\n\r\n" + VIEW,
    "a space before the other colon": b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKS,
    "chunked twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS,
    "chunked in two lines": CHUNKED + CHUNKED + b"\r\n" + CHUNKS,
    "chunked and identity": CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + CHUNKS,
    "chunked, but not last": b"Transfer-Encoding: chunked, gzip\r\n\r\n" + CHUNKS,
    "compressed below the chunks": b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    "nearly chunked": b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "quoted": b'Transfer-Encoding: "chunked"\r\n\r\n' + CHUNKS,
    "behind a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
    "identity": b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\n" + VIEW,
    "a folded line": b"X: a\r\n b\r\n" + LENGTH + b"\r\n" + VIEW,
    "a folded length": b"Content-Length:\r\n 26\r\n\r\n" + VIEW,
    "a folded encoding": b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKS,
    "a bare line feed": b"X: a\n" + LENGTH + b"\r\n" + VIEW,
    "a bare carriage return": b"X: a\r" + LENGTH + b"\r\n" + VIEW,
    "a zero byte": b"X: a\x00b\r\n" + LENGTH + b"\r\n" + VIEW,
    "a line without a colon": b"X\r\n" + LENGTH + b"\r\n" + VIEW,
    "a header without a name": b": a\r\n" + LENGTH + b"\r\n" + VIEW,
    "two hosts": b"Host: y\r\n" + LENGTH + b"\r\n" + VIEW,
    "two content types": b"Content-Type: text/plain\r\nContent-Type: text/html\r\n" + LENGTH + b"\r\n" + VIEW,
    "a chunk that is no number": CHUNKED + b"\r\nxx\r\n" + VIEW + b"\r\n0\r\n\r\n",
    "a chunk below zero": CHUNKED + b"\r\n-1a\r\n" + VIEW + b"\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"\r\n1000000000000001a\r\n" + VIEW + b"\r\n0\r\n\r\n",
    "a chunk that is longer": CHUNKED + b"\r\n19\r\n" + VIEW + b"\r\n0\r\n\r\n",
    "chunks with bare line feeds": CHUNKED + b"\r\n1a\n" + VIEW + b"\n0\n\n",
    "an extension with a bare line feed": CHUNKED + b"\r\n1a;x\n" + VIEW + b"\r\n0\r\n\r\n",
    "a length behind the body": CHUNKED + b"\r\n1a\r\n" + VIEW + b"\r\n0\r\nContent-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLED)
async def test_a_request_whose_end_is_in_doubt_is_refused_and_its_connection_closed(
    gateway: Gateway, name: str
) -> None:
    raw = HEAD + SMUGGLED[name]
    head, _, body = raw.partition(b"\r\n\r\n")
    for pieces in ((raw + WHOLE,), (head + b"\r\n\r\n", body + WHOLE)):
        said = await said_to(gateway, *pieces)
        assert [(each.status, each.code) for each in said] == [(400, "BAD_REQUEST")], pieces
    assert not gateway.publisher.published
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


async def test_chunks_on_http_1_0_are_refused(gateway: Gateway) -> None:
    raw = (HEAD + CHUNKED + b"Connection: keep-alive\r\n\r\n" + CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0")
    async with wire(gateway) as sender:
        await sender.send(raw)
        await sender.until(b"BAD_REQUEST")
    assert not gateway.publisher.published


async def test_ordinary_chunks_are_taken_and_the_next_request_too(gateway: Gateway) -> None:
    last = WHOLE.replace(b"Host: x", b"Host: x\r\nConnection: close")
    for chunks in (CHUNKS, b"1a;name=value\r\n" + VIEW + b"\r\n0\r\nX-Trailer: a\r\n\r\n"):
        said = await said_to(gateway, HEAD + CHUNKED + b"\r\n" + chunks + last)
        assert [each.status for each in said] == [200, 200]
    assert len(gateway.publisher.published) == 4


async def test_a_frame_that_breaks_is_answered_at_once_and_nobody_is_left_waiting(gateway: Gateway) -> None:
    async with wire(gateway) as sender:
        await sender.send(HEAD + CHUNKED + b"\r\n1a\r\n" + VIEW[:5])
        await asyncio.sleep(0.05)
        await sender.send(VIEW[5:] + b"\r\nnonsense\r\n")
        said = await sender.said()
    assert [(each.status, each.code) for each in said] == [(400, "BAD_REQUEST")]
    assert "Connection: close" in said[0].head
    assert not gateway.publisher.published


FLOODS = {
    "many headers": b"".join(b"X-%d: y\r\n" % number for number in range(200)),
    "one large header": b"X: " + b"y" * 10_000 + b"\r\n",
    "large headers": b"".join(b"X-%d: %b\r\n" % (number, b"y" * 8000) for number in range(20)),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_of_headers_is_refused(gateway: Gateway, name: str) -> None:
    raw = HEAD + FLOODS[name] + LENGTH + b"\r\n" + VIEW
    for pieces in ((raw,), (raw[:20_000], raw[20_000:40_000], raw[40_000:])):
        said = await said_to(gateway, *pieces)
        assert [(each.status, each.code) for each in said] == [(400, "BAD_REQUEST")]
    assert not gateway.publisher.published


async def test_headers_without_end_are_refused_before_there_is_a_blank_line(gateway: Gateway) -> None:
    async with wire(gateway) as sender:
        await sender.send(HEAD)
        for number in range(12):
            await sender.send(b"X-%d: %b\r\n" % (number, b"y" * 4000))
        said = await sender.said()
    assert [(each.status, each.code) for each in said] == [(400, "BAD_REQUEST")]


async def test_a_large_body_in_one_piece_is_no_flood_of_headers(gateway: Gateway) -> None:
    body = b'{"event_type":"view_cart","x":"' + b"y" * 100_000 + b'"}'
    async with wire(gateway) as sender:
        for _ in range(2):
            await sender.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert (await sender.first()).status == 200


async def _trickle(gateway: Gateway, start: bytes, trickle: bytes, pause: float) -> tuple[list[Said], float]:
    began = time.monotonic()
    async with wire(gateway) as sender:
        await sender.send(start)

        async def rest() -> None:
            for place in range(len(trickle)):
                await asyncio.sleep(pause)
                await sender.send(trickle[place : place + 1])

        trickling = asyncio.create_task(rest())
        try:
            return await sender.said(), time.monotonic() - began
        finally:
            trickling.cancel()


@pytest.mark.parametrize(
    ("begin", "trickle", "pause"),
    [
        pytest.param(HEAD, b"", 0, id="a head that stops"),
        pytest.param(HEAD[:9], HEAD[9:], 0.05, id="a head that trickles"),
        pytest.param(HEAD + LENGTH + b"\r\n", b"", 0, id="a body that never begins"),
        pytest.param(HEAD + LENGTH + b"\r\n" + VIEW[:-1], b"", 0, id="a body that stops"),
        pytest.param(HEAD + b"Content-Length: 500\r\n\r\n", b" " * 499, 0.02, id="a body that trickles"),
        pytest.param(HEAD + CHUNKED + b"\r\n1a;", b"x" * 499, 0.02, id="an extension without end"),
        pytest.param(HEAD + CHUNKED + b"\r\n" + CHUNKS[:-2], b"X: " + b"y" * 499, 0.02, id="a trailer without end"),
    ],
)
async def test_a_sender_that_is_too_slow_is_cut(impatient: Gateway, begin: bytes, trickle: bytes, pause: float) -> None:
    said, seconds = await _trickle(impatient, begin, trickle, pause)
    assert [(each.status, each.code) for each in said] == [(408, "REQUEST_TIMEOUT")]
    assert "Connection: close" in said[0].head
    assert seconds >= 0.2
    assert not impatient.publisher.published
    assert impatient.metric("sluice_gateway_in_flight_bytes") == 0
    assert sum(
        impatient.metric("sluice_gateway_request_seconds_count", route=route, status="408")
        for route in ("track", "other")
    )


async def test_many_slow_senders_hold_up_nobody_and_take_no_room(impatient: Gateway) -> None:
    start = HEAD + b"Content-Length: 1000000\r\n\r\n{"
    slow = [asyncio.create_task(_trickle(impatient, start, b"", 0)) for _ in range(80)]
    answers = [await impatient.post(TRACK, VIEW) for _ in range(5)]
    assert {answer.status for answer in answers} == {200}
    assert impatient.metric("sluice_gateway_in_flight_bytes") < 1000
    for said, _ in await asyncio.gather(*slow):
        assert [each.status for each in said] == [408]


async def test_who_waits_for_us_is_not_slow(impatient: Gateway) -> None:
    impatient.publisher.held = []
    async with wire(impatient) as sender:
        # Half of the next request is there long before the first is answered.
        await sender.send(WHOLE + HEAD)
        (future,) = await impatient.publisher.hold(1)
        await asyncio.sleep(0.3)
        impatient.publisher.held = None
        future.set_result(None)
        assert (await sender.first()).status == 200
        await sender.send(LENGTH + b"Connection: close\r\n\r\n" + VIEW)
        assert [each.status for each in await sender.said()] == [200, 200]


async def test_an_idle_connection_is_left_alone(impatient: Gateway) -> None:
    async with wire(impatient) as sender:
        await sender.send(WHOLE)
        assert (await sender.first()).status == 200
        await asyncio.sleep(0.3)
        await sender.send(WHOLE.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        assert [each.status for each in await sender.said()] == [200, 200]


async def test_who_asks_leave_to_send_the_body_gets_it(gateway: Gateway) -> None:
    async with wire(gateway) as sender:
        await sender.send(HEAD + LENGTH + b"Expect: 100-continue\r\n\r\n")
        await sender.until(b"HTTP/1.1 100 Continue\r\n\r\n")
        await sender.send(VIEW)
        assert (await sender.first()).status == 200
    async with wire(gateway) as sender:
        await sender.send(HEAD + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
        assert (await sender.first()).status == 413


async def test_when_all_connections_are_busy_who_comes_is_told_to_come_again(
    start: Callable[..., Awaitable[Gateway]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.connections.MAX_CONNECTIONS", 2)
    gateway = await start()
    gateway.publisher.held = []
    async with wire(gateway) as first, wire(gateway) as second:
        for sender in (first, second):
            await sender.send(WHOLE)
        futures = await gateway.publisher.hold(2)
        said = await said_to(gateway, WHOLE)
        assert [(each.status, each.code) for each in said] == [(503, "OVERLOADED")]
        assert "Retry-After: " in said[0].head
        for future in futures:
            future.set_result(None)
        for sender in (first, second):
            assert (await sender.first()).status == 200
    assert len(gateway.publisher.published) == 2


async def test_idle_connections_keep_nobody_out(
    start: Callable[..., Awaitable[Gateway]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.connections.MAX_CONNECTIONS", 2)
    gateway = await start()
    async with wire(gateway) as oldest, wire(gateway) as busy:
        await oldest.send(WHOLE)
        assert (await oldest.first()).status == 200
        await busy.send(WHOLE[:-1])
        for _ in range(3):
            async with wire(gateway) as newest:
                await newest.send(WHOLE)
                assert (await newest.first()).status == 200
        assert len(await oldest.said()) == 1
        await busy.send(WHOLE[-1:])
        assert (await busy.first()).status == 200


@pytest.mark.parametrize("hard", [1500, None], ids=["few are granted", "more are granted than asked for"])
def test_connections_leave_files_for_everything_else(hard: int | None) -> None:
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard is None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, most))
        try:
            connections = claim_connections()
            files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
        assert files > 1024 or most == 1024
    else:
        # A hard limit that is lowered stays lowered: in a process of its own.
        asked = (
            f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (1024, {hard}));"
            "from gateway.connections import claim_connections;"
            "print(claim_connections(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
        )
        said = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True)  # noqa: S603 - ours
        connections, files = map(int, said.stdout.split())
        assert files == hard
    assert 0 < connections <= MAX_CONNECTIONS
    assert connections < files


async def test_a_sender_that_breaks_off_is_no_fault_of_ours(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    async with wire(gateway) as sender:
        await sender.send(HEAD + LENGTH + b"\r\n" + VIEW[:-1])
        await asyncio.sleep(0.05)
    await gateway.post(TRACK, VIEW)
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0
    printed = "".join(capsys.readouterr())
    assert "request failed" not in printed
    assert "Traceback" not in printed


async def test_a_body_one_byte_short_is_still_wanted_when_the_gateway_ends() -> None:
    begun = asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.Response:
        begun.set()
        response = web.Response(body=await request.read())
        response.force_close()
        return response

    server = make_server(handle)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    writer.write(WHOLE[:-1])
    await begun.wait()
    server.pre_shutdown()
    writer.write(WHOLE[-1:])
    async with asyncio.timeout(5):
        assert (await reader.read()).endswith(VIEW)
    writer.close()
    await writer.wait_closed()
    listener.close()
    await server.shutdown(0.1)
