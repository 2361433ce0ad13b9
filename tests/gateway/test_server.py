"""The connection itself: what aiohttp's server does for each request, and what ours leaves out."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from gateway.server import make_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


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


async def _text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as answer:
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
