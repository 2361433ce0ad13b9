"""A gateway that does what a test tells it, and remembers what came."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from schemas import judge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

RESET = web.Response(status=599)
"""In `Stub.answers`: the connection is cut instead."""


@dataclass(slots=True)
class Stub:
    """`answers` are given first, one per request; then every batch is judged as the gateway would."""

    url: str = ""
    answers: deque[web.Response] = field(default_factory=deque)
    requests: list[dict[str, str]] = field(default_factory=list)
    accepted: list[Any] = field(default_factory=list)
    seconds: float = 0
    refuse: Callable[[bytes], web.Response | None] = lambda _: None

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append(dict(request.headers))
        await asyncio.sleep(self.seconds)
        answer = self.answers.popleft() if self.answers else self.refuse(body)
        if answer is RESET:
            assert request.transport is not None
            request.transport.abort()
        return answer or self.judge(orjson.loads(body)["events"])

    def judge(self, events: list[Any]) -> web.Response:
        faults = [(index, fault) for index, event in enumerate(events) if (fault := judge.fault(event)) is not None]
        bad = {index for index, _ in faults}
        self.accepted += [event for index, event in enumerate(events) if index not in bad]
        errors = {"errors": [f"events[{index}]: {fault}" for index, fault in faults]} if faults else {}
        return web.json_response({"ok": True, "accepted": len(events) - len(faults), **errors})


def error(status: int, text: str, **headers: str) -> web.Response:
    return web.json_response({"error": text, "code": "X"}, status=status, headers=headers)


@asynccontextmanager
async def serving() -> AsyncIterator[Stub]:
    stub = Stub()
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/api/analytics/ecommerce/batch", stub.handle)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        stub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield stub
    finally:
        await runner.cleanup()
