"""aiohttp's low-level server, told to answer in the gateway's own way also what is not HTTP."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeVar, cast

import orjson
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway.outbox import Outbox

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, BaseTransport

    from aiohttp.web_request import BaseRequest

_Coroutine = TypeVar("_Coroutine")

KEEP_ALIVE_SECONDS = 75
READ_BUFFER_BYTES = 256 * 1024
LINGER_SECONDS = 2.0
"""How long the rest of a body that was refused is read and thrown away, so that its sender gets to see the answer."""


class _InPlace:
    """An event loop whose tasks are awaited where they are made.

    aiohttp makes a task for each request. Before Python 3.12 a task does not begin at once, and whoever awaits it wakes later:
    two rounds of the loop that every event waits, and records that come apart on their way to the log.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self.create_future = loop.create_future
        self.time = loop.time
        self.call_at = loop.call_at

    def create_task(self, coroutine: _Coroutine) -> _Coroutine:
        """Return the coroutine itself, which is awaited next."""
        return coroutine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


class Protocol(RequestHandler):
    """One connection. What cannot be parsed is answered in JSON and logged as what it is: the sender's fault, not ours."""

    __slots__ = ()

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin to serve the connection. From here on each of its requests is carried out in the connection's own task."""
        super().connection_made(transport)
        if sys.version_info < (3, 12):
            self._loop = cast("AbstractEventLoop", _InPlace(self._loop))

    def send(self, answer: bytes) -> None:
        """Send a whole answer, together with those that other connections get now. Raises ConnectionResetError when the sender is gone."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the sender is gone")
        if self._messages or self._close:
            # The answer to the next request, or the end of the connection, must not overtake this one.
            transport.write(answer)
        else:
            cast("Server", self._manager).outbox.put(transport, answer)

    def close(self) -> None:
        """Take no more requests: an idle connection ends at once, a busy one with its answer."""
        idle = self._waiter is not None and not self._waiter.done()
        super().close()
        if self._manager is not None:
            cast("Server", self._manager).outbox.flush()
        # aiohttp ends the task that waits for a request, but leaves its connection open: a drain would wait for it in vain.
        if idle and self.transport is not None:
            self.transport.close()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 - aiohttp's signature
        message: str | None = None,  # noqa: ARG002 - aiohttp's text may quote the sender: it is not repeated
    ) -> web.StreamResponse:
        """Answer a request that is no HTTP (400) and close the connection."""
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer was sent already")
        code, text = ("INTERNAL", "Internal error") if status >= 500 else ("BAD_REQUEST", "Malformed HTTP request")  # noqa: PLR2004 - the line between their fault and ours
        response = web.Response(
            status=status, body=orjson.dumps({"error": text, "code": code}), content_type="application/json"
        )
        response.force_close()
        return response


class Server(web.Server):
    """A server of such connections."""

    def __init__(self, handler: Any, **arguments: Any) -> None:
        super().__init__(handler, **arguments)
        self.outbox = Outbox(asyncio.get_running_loop())

    def __call__(self) -> RequestHandler:
        """Return the handler of a new connection."""
        return Protocol(self, loop=self._loop, **self._kwargs)


def make_server(handler: Any) -> Server:
    """Return the server around `handler`: bodies come as they were sent, nothing is logged twice."""
    return Server(
        handler,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        lingering_time=LINGER_SECONDS,
        read_bufsize=READ_BUFFER_BYTES,
    )
