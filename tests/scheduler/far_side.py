"""A vendor on loopback that answers as it is told and writes down what it got."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping


@dataclass(frozen=True)
class Got:
    """A request as it arrived; `target` is path and query as they stood on the wire."""

    method: str
    target: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Say:
    """An answer: a status, a body (JSON unless bytes), headers.

    `before`: what is waited for first. `cut`: how many bytes of the body are sent before the connection is closed; `stalls`:
    before nothing more comes. `repeat`: how often the body is sent.
    """

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    before: asyncio.Event | None = None
    cut: int | None = None
    stalls: asyncio.Event | None = None
    repeat: int = 1
    sized: bool = True


class FarSide:
    """`script` holds the next answers; when it is empty, `answer` is given."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.script: deque[Say] = deque()
        self.answer = Say(200, {"ok": True})
        self.url = ""
        self.open = 0
        self.most_open = 0
        self.sent = 0

    def say(self, *answers: Say) -> None:
        self.script.extend(answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.got.append(
            Got(request.method, request.raw_path, request.query, request.headers.copy(), await request.read())
        )
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            return await self._respond(request, self.script.popleft() if self.script else self.answer)
        finally:
            self.open -= 1

    async def _respond(self, request: web.Request, say: Say) -> web.StreamResponse:
        if say.before is not None:
            await say.before.wait()
        body = say.body if isinstance(say.body, bytes) else orjson.dumps(say.body)
        response = web.StreamResponse(status=say.status, headers=say.headers)
        if say.sized:
            response.content_length = len(body) * say.repeat
        else:
            response.enable_chunked_encoding()
        if say.cut == 0:
            _close(request)
            return response
        await response.prepare(request)
        for _ in range(say.repeat):
            piece = body if say.cut is None else body[: say.cut]
            await response.write(piece)
            self.sent += len(piece)
        if say.stalls is not None:
            await say.stalls.wait()
        if say.cut is not None:
            _close(request)
            return response
        await response.write_eof()
        return response


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until `condition` holds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came true"
        await asyncio.sleep(0.001)


def _close(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.close()


@asynccontextmanager
async def listening() -> AsyncIterator[FarSide]:
    far_side = FarSide()
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", far_side.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    far_side.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield far_side
    finally:
        await runner.cleanup()
