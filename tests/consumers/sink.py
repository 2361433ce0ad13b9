"""An ingestion API on loopback that answers as it is told and writes down what it got."""

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
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def events(self) -> list[Any]:
        events = orjson.loads(self.body)["events"]
        assert isinstance(events, list)
        return events

    @property
    def names(self) -> list[str]:
        return [each["name"] for each in self.events]


@dataclass(frozen=True)
class Say:
    """An answer: a status, a body (JSON unless bytes), headers. Before it, `after` is waited for; `reset` drops the connection instead."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    after: asyncio.Event | None = None
    reset: bool = False


OK = Say(200, {"ok": True})
HTML = Say(200, b"<html><h1>Sign in</h1></html>", {"Content-Type": "text/html"})
RESET = Say(reset=True)


class Sink:
    """`script` holds the next answers; when it is empty, `answer` decides."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.script: deque[Say] = deque()
        self.answer: Callable[[Got], Say] = lambda _got: OK
        self.url = ""
        self.open = 0
        self.most_open = 0

    def say(self, *answers: Say) -> None:
        self.script.extend(answers)

    @property
    def names(self) -> list[list[str]]:
        """The names of the events of each request."""
        return [each.names for each in self.got]

    def first_arrivals(self) -> list[str]:
        return list(dict.fromkeys(name for names in self.names for name in names))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        got = Got(request.path, request.headers, await request.read())
        self.got.append(got)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            return await self._respond(request, self.script.popleft() if self.script else self.answer(got))
        finally:
            self.open -= 1

    async def _respond(self, request: web.Request, say: Say) -> web.StreamResponse:
        if say.after is not None:
            await say.after.wait()
        if say.reset:
            assert request.transport is not None
            request.transport.abort()
        body = say.body if isinstance(say.body, bytes) else orjson.dumps(say.body)
        return web.Response(status=say.status, body=body, headers=say.headers)


@asynccontextmanager
async def sinking() -> AsyncIterator[Sink]:
    """A sink that listens."""
    sink = Sink()
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", sink.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield sink
    finally:
        await runner.cleanup()


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until `condition` holds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came true"
        await asyncio.sleep(0.002)
