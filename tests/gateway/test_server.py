"""The connection itself: what aiohttp's server does for each request, and what ours leaves out."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import aiohttp
import pytest
from aiohttp import web

from gateway.answer import Answer
from gateway.server import make_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from gateway.server import Protocol


@asynccontextmanager
async def _listening(
    handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], *, patience: float = 5
) -> AsyncIterator[str]:
    """Serve `handle`; on leaving, requests under way have `patience` seconds before they are cancelled."""
    server = make_server(handle)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        listener.close()
        server.pre_shutdown()
        await server.shutdown(patience)


async def _text(session: aiohttp.ClientSession, url: str, body: bytes | None = None) -> str:
    async with session.request("GET" if body is None else "POST", url, data=body) as answer:
        return await answer.text()


async def test_requests_of_a_connection_are_carried_out_in_its_own_task() -> None:
    tasks: list[asyncio.Task[object] | None] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        return web.Response(body=await request.read())

    async with _listening(handle) as url, aiohttp.ClientSession() as session:
        for body in (b"one", b"two"):
            async with session.post(url, data=body) as answer:
                assert await answer.read() == body
    assert len(tasks) == 2
    assert tasks[0] is tasks[1]


async def test_a_handler_that_breaks_is_answered_and_the_next_request_too() -> None:
    async def handle(request: web.BaseRequest) -> web.Response:
        if request.path == "/broken":
            raise RuntimeError("of ours")
        return web.Response(text="fine")

    async with _listening(handle) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}/broken") as answer:
            assert answer.status == 500
            assert await answer.json() == {"error": "Internal error", "code": "INTERNAL"}
        async with session.get(url) as answer:
            assert await answer.text() == "fine"


async def test_a_request_under_way_is_answered_before_the_server_is_down() -> None:
    begun, free = asyncio.Event(), asyncio.Event()

    async def handle(_: web.BaseRequest) -> web.Response:
        begun.set()
        await free.wait()
        return web.Response(text="done")

    async with aiohttp.ClientSession() as session:
        async with _listening(handle) as url:
            asked = asyncio.create_task(_text(session, url))
            await begun.wait()
            free.set()
        assert await asked == "done"


async def test_a_request_that_takes_too_long_is_cancelled_at_the_end() -> None:
    begun = asyncio.Event()
    cancelled = asyncio.Event()

    async def handle(_: web.BaseRequest) -> web.Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError("nobody sets that event")

    async with aiohttp.ClientSession() as session:
        async with _listening(handle, patience=0.05) as url:
            asked = asyncio.create_task(_text(session, url))
            await begun.wait()
        with pytest.raises(aiohttp.ClientError):
            await asked
    assert cancelled.is_set()


async def test_answers_ready_at_once_are_written_together_each_to_its_own_sender() -> None:
    senders = 20
    free = asyncio.Barrier(senders)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        async with asyncio.timeout(5), free:
            return Answer(body, "id", b"now")

    async with _listening(handle) as url, aiohttp.ClientSession() as session:
        asked = [asyncio.create_task(_text(session, url, b"%d" % number)) for number in range(senders)]
        assert await asyncio.gather(*asked) == [str(number) for number in range(senders)]


async def test_answers_on_one_connection_keep_the_order_of_its_requests() -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        return web.Response(body=body) if request.path == "/slow" else Answer(body, "id", b"now")

    paths = ["/quick", "/slow", "/quick", "/quick", "/slow", "/quick"]
    requests = [
        f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n#{number}" for number, path in enumerate(paths)
    ]
    async with _listening(handle) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write("".join(requests).encode())
        for number in range(len(paths)):
            assert await asyncio.wait_for(reader.readuntil(b"#%d" % number), 5)
        writer.close()
        await writer.wait_closed()


async def test_what_was_answered_is_written_before_its_connection_is_closed() -> None:
    ended = asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        # Runs when the answer is ready and before it is written.
        asyncio.get_running_loop().call_soon(ended.set)
        asyncio.get_running_loop().call_soon(cast("Protocol", request.protocol).close)
        return Answer(b"kept", "id", b"now")

    async with _listening(handle) as url, aiohttp.ClientSession() as session:
        assert await _text(session, url, b"") == "kept"
    assert ended.is_set()
