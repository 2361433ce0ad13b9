"""What is passed through has its bounds, and an upstream that fails is told of truthfully."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from gateway.upstream import Limits
from tests.gateway.conftest import SECRET, TRACK
from tests.gateway.vendor import MESSAGES, OVERVIEW, SHOP, code, send, serving, shop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.gateway.conftest import Gateway
    from tests.gateway.vendor import Vendor


MIB = 1024 * 1024


async def test_a_body_beyond_the_cap_is_not_passed_on(start: Callable[..., Awaitable[Gateway]], vendor: Vendor) -> None:
    gateway = await start(shop(vendor.url), max_body_bytes=2 * MIB)
    status, _, _ = await send(gateway, "POST", MESSAGES, data=io.BytesIO(bytes(2 * MIB)))
    assert (status, len(vendor.asked[0].body)) == (200, 2 * MIB)
    status, body, _ = await send(gateway, "POST", MESSAGES, data=io.BytesIO(bytes(2 * MIB + 1)))
    assert (status, code(body), len(vendor.asked)) == (413, "TOO_LARGE", 1)
    assert gateway.metric("sluice_gateway_in_flight_bytes") == 0


async def test_an_answer_is_streamed_as_it_comes(start: Callable[..., Awaitable[Gateway]], vendor: Vendor) -> None:
    gateway = await start(shop(vendor.url))
    more = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await more.wait()
        await response.write(b"last")
        return response

    vendor.answer = answer
    async with gateway.session.get(gateway.url + OVERVIEW, headers={"X-API-Key": SECRET}) as response:
        assert await response.content.readany() == b"first"
        more.set()
        assert await response.read() == b"last"


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(
    start: Callable[..., Awaitable[Gateway]], vendor: Vendor
) -> None:
    gateway = await start(shop(vendor.url))

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        assert request.transport is not None
        request.transport.close()
        return response

    vendor.answer = answer
    with pytest.raises(aiohttp.ClientError):
        await send(gateway, "GET", OVERVIEW)
    assert (await gateway.post(TRACK, {"event_type": "view_cart"})).status == 200


async def test_an_upstream_that_is_away_is_a_502(
    start: Callable[..., Awaitable[Gateway]], capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = await start(shop("http://127.0.0.1:1"))
    for path in (OVERVIEW, MESSAGES):
        status, body, headers = await send(gateway, "GET", f"{path}?user_id=Anna", headers={"Origin": SHOP})
        assert (status, code(body)) == (502, "UPSTREAM_UNREACHABLE")
        assert headers["Access-Control-Allow-Origin"] == SHOP
    said = capsys.readouterr().out
    assert "upstream did not answer" in said
    assert "Anna" not in said
    assert SECRET not in said


async def test_an_upstream_that_does_not_speak_http_is_a_502(
    start: Callable[..., Awaitable[Gateway]], capsys: pytest.CaptureFixture[str]
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"Hello, Anna\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        gateway = await start(shop(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        status, body, _ = await send(gateway, "GET", f"{OVERVIEW}?user_id=Anna")
    assert (status, code(body)) == (502, "UPSTREAM_UNREACHABLE")
    assert "Anna" not in capsys.readouterr().out


async def test_an_upstream_that_hangs_is_a_504_and_holds_up_no_other(
    start: Callable[..., Awaitable[Gateway]], vendor: Vendor
) -> None:
    release = asyncio.Event()

    async def hang(_: web.BaseRequest) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    async with serving() as other:
        gateway = await start(shop(vendor.url), shop(other.url, "beta"), limits=Limits(at_once=1, silent_seconds=0.3))
        vendor.answer = hang
        waiting = asyncio.ensure_future(send(gateway, "GET", OVERVIEW))
        await asyncio.wait_for(vendor.arrived.wait(), 5)
        status, body, headers = await send(gateway, "GET", MESSAGES)
        assert (status, code(body)) == (503, "OVERLOADED")
        assert int(headers["Retry-After"]) >= 1
        assert (await send(gateway, "GET", MESSAGES, "tolk_pub_beta"))[0] == 200
        status, body, _ = await waiting
        assert (status, code(body)) == (504, "UPSTREAM_TIMEOUT")
        release.set()
        assert (await send(gateway, "GET", MESSAGES))[0] == 200
