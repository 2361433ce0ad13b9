"""aiohttp's low-level server, told to answer in the gateway's own way also what is not HTTP."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeVar, cast

import orjson
from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from gateway.connections import claim_connections
from gateway.errors import Refusal
from gateway.outbox import Outbox
from gateway.patience import BodyUnreadable, BodyWatch, Patience, SenderTooSlow

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, BaseTransport
    from collections.abc import Callable, Mapping

    from aiohttp.streams import StreamReader
    from aiohttp.web_request import BaseRequest

    from gateway.express import Express, Head

_Coroutine = TypeVar("_Coroutine")

KEEP_ALIVE_SECONDS = 75
READ_BUFFER_BYTES = 256 * 1024
LINGER_SECONDS = 2.0
"""How long the rest of a body that was refused is read and thrown away, so that its sender gets to see the answer."""
_HEAD_END = b"\r\n\r\n"


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

    __slots__ = (
        "_at_boundary",
        "_behind",
        "_body",
        "_body_watch",
        "_fed",
        "_head",
        "_head_bytes",
        "_head_since",
        "_on_express",
        "_patience",
    )

    def __init__(self, server: Server, patience: Patience, **arguments: Any) -> None:
        super().__init__(server, **arguments)
        self._patience = patience
        # Where the parser is: between requests; else with which head the present one began, and how much of it came.
        self._at_boundary = True
        self._head = b""
        self._fed = 0
        # A request that went round the parser, and what came behind it.
        self._on_express = False
        self._behind = b""
        self._body: StreamReader = EMPTY_PAYLOAD
        self._body_watch = BodyWatch()
        self._head_bytes = 0
        self._head_since = 0.0

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin to serve the connection. From here on each of its requests is carried out in the connection's own task."""
        super().connection_made(transport)
        if sys.version_info < (3, 12):
            self._loop = cast("AbstractEventLoop", _InPlace(self._loop))
        server = cast("Server", self._manager)
        if not server.has_room():
            self._refuse(Refusal("OVERLOADED", "The gateway is overloaded. Please try again later.", retry_after=1))

    def connection_lost(self, exc: BaseException | None) -> None:
        """End what is under way. The rest of a body that was refused is not waited for when its sender is gone."""
        super().connection_lost(exc)
        if not self._request_in_progress and not self._body.is_eof():
            self._body.set_exception(BodyUnreadable("the sender is gone"))

    def data_received(self, data: bytes) -> None:
        """Take what came: a request of a known head straight to the express, everything else to the parser."""
        if self._on_express:
            if not self._behind and self.transport is not None:
                self.transport.pause_reading()
            self._behind += data
            return
        if self._at_boundary and data:
            end = data.find(_HEAD_END) + len(_HEAD_END)
            self._head = data[:end] if end >= len(_HEAD_END) else b""
            if self._goes_by_express(data, end):
                return
            self._at_boundary = False
            self._fed = 0
        self._fed += len(data)
        self._parse(data)

    def _goes_by_express(self, data: bytes, end: int) -> bool:
        server = cast("Server", self._manager)
        head = server.heads.get(self._head)
        waiter = self._waiter
        if head is None or len(data) != end + head.length or waiter is None or waiter.done() or self._close:
            return False
        self._on_express = True
        if server.express is None or not server.express.carry_out(head, data[end:], self):
            self._on_express = False
            return False
        server.requests_count += 1
        # Or the connection would be taken for an idle one.
        self._next_keepalive_close_time = self._loop.time() + KEEP_ALIVE_SECONDS
        return True

    def answered(self, answer: bytes) -> None:
        """Send the answer to the request that went by express; then what came behind it has its turn."""
        self._on_express = False
        behind, self._behind = self._behind, b""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if self._close:
            transport.write(answer)
            transport.close()
            return
        transport.write(answer)
        if behind:
            transport.resume_reading()
            self.data_received(behind)

    def at_boundary(self, length: int | None) -> bytes | None:
        """Return the head, byte for byte, of the request that is being answered, if it and its body of `length` bytes are all that
        the parser was given: it stands between two requests then. None when that is not known.
        """
        if length is None or not self._head or self._fed != len(self._head) + length:
            return None
        self._at_boundary = True
        return self._head

    def _parse(self, data: bytes) -> None:
        """Parse what came; note whether a head has begun that is not whole yet, and which body comes now."""
        if self._close:
            return
        body = self._body
        within_body = not body.is_eof()
        super().data_received(data)
        messages = self._messages
        if messages:
            latest = messages[-1][1]
            if within_body and not body.is_eof() and latest is not body:
                # aiohttp answers a broken frame behind the request whose frame it was, and leaves that one to wait for its end.
                self._end_body(BodyUnreadable("malformed"))
            elif len(data) + self._head_bytes > self._patience.head_bytes:
                self._judge_heads()
            self._body = latest
            self._head_bytes = 0
            self._head_since = 0.0
        elif data and not within_body:
            self._head_bytes += len(data)
            self._head_since = self._head_since or self._loop.time()
            if self._head_bytes > self._patience.head_bytes:
                self._refuse(_head_too_large())

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self._waiter is not None and not self._waiter.done() and not self._on_express

    def look(self, now: float) -> None:
        """End a request that comes too slowly; `now` is the event loop's time."""
        body = self._body
        if self._close:
            return
        if body.is_eof():
            if self._head_since and now - self._head_since >= self._patience.head_seconds:
                self._refuse(Refusal("REQUEST_TIMEOUT", "Request head took too long"))
        elif self._reading_paused or self._buffer_paused:
            self._body_watch.forget()
        elif self._body_watch.too_slow(body, now, self._patience):
            self._end_body(SenderTooSlow("the sender is too slow"))

    def _end_body(self, why: Exception) -> None:
        """Let whoever reads the body know, and take nothing more from its sender: where the next request would begin is unknown."""
        self._close = True
        self._body.set_exception(why)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer a request that is not whole, in its turn; then the connection ends."""
        if self._close or self._force_close:
            return
        self._close = True
        self._messages.append((_ErrInfo(refusal.status, refusal, refusal.message), EMPTY_PAYLOAD))
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _judge_heads(self) -> None:
        """Have heads answered as malformed that came in one piece and are too large."""
        for place, (message, body) in enumerate(self._messages):
            headers = () if isinstance(message, _ErrInfo) else message.raw_headers
            if sum(len(name) + len(value) + 4 for name, value in headers) > self._patience.head_bytes:
                self._messages[place] = (_ErrInfo(400, _head_too_large(), ""), body)

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
        if self._request_in_progress and not self._body.is_eof() and not self._close:
            # aiohttp would take nothing more from its sender. The rest of the body is still wanted; the answer ends the connection.
            return
        idle = self.idle
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
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's text may quote the sender: it is not repeated
    ) -> web.StreamResponse:
        """Answer a request that is no HTTP (400), or that is not let through, and close the connection."""
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer was sent already")
        if isinstance(exc, Refusal):
            refusal = exc
        elif status >= 500:  # noqa: PLR2004 - the line between their fault and ours
            refusal = Refusal("INTERNAL", "Internal error")
        else:
            refusal = Refusal("BAD_REQUEST", "Malformed HTTP request")
        cast("Server", self._manager).told(refusal)
        headers = {"Connection": "close"}
        if refusal.retry_after is not None:
            headers["Retry-After"] = str(refusal.retry_after)
        body = orjson.dumps({"error": refusal.message, "code": refusal.code})
        response = web.Response(status=status, body=body, content_type="application/json", headers=headers)
        response.force_close()
        return response


def _head_too_large() -> Refusal:
    return Refusal("BAD_REQUEST", "Request head is too large")


class Server(web.Server):
    """A server of such connections. `told` hears of what was refused without its handler."""

    def __init__(
        self,
        handler: Any,
        patience: Patience,
        told: Callable[[Refusal], None],
        express: Express | None,
        max_connections: int,
        **arguments: Any,
    ) -> None:
        super().__init__(handler, **arguments)
        self.outbox = Outbox(asyncio.get_running_loop())
        self.told = told
        self.express = express
        self.heads: Mapping[bytes, Head] = {} if express is None else express.heads
        self.max_connections = max_connections
        self._patience = patience
        self._looking = self._loop.call_later(patience.look_seconds, self._look)

    def __call__(self) -> RequestHandler:
        """Return the handler of a new connection."""
        return Protocol(self, self._patience, loop=self._loop, **self._kwargs)

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's
        """Close every connection; requests under way have `timeout` seconds."""
        self._looking.cancel()
        await super().shutdown(timeout)

    def has_room(self) -> bool:
        """Return whether the newest connection may stay. When there are too many, the oldest that is idle makes room for it."""
        if len(self._connections) <= self.max_connections:
            return True
        oldest = next((each for each in self._connections if cast("Protocol", each).idle), None)
        if oldest is not None:
            oldest.close()
        return oldest is not None

    def _look(self) -> None:
        now = self._loop.time()
        for connection in self.connections:
            cast("Protocol", connection).look(now)
        self._looking = self._loop.call_later(self._patience.look_seconds, self._look)


def make_server(
    handler: Any,
    told: Callable[[Refusal], None] = lambda _: None,
    *,
    express: Express | None = None,
    patience: Patience | None = None,
    max_connections: int | None = None,
) -> Server:
    """Return the server around `handler`: bodies come as they were sent, nothing is logged twice. `told` is called with each refusal
    that the handler does not get to see.
    """
    return Server(
        handler,
        patience or Patience(),
        told,
        express,
        claim_connections() if max_connections is None else max_connections,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        lingering_time=LINGER_SECONDS,
        read_bufsize=READ_BUFFER_BYTES,
    )
