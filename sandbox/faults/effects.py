"""How a fault looks on the wire."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.faults.rules import Hang, Html, Reset, ResetAfterDelivery, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.clock import Clock
    from sandbox.faults.injector import Ending, Misfortune

NO_LINGER = struct.pack("ii", 1, 0)


class Stage:
    """Where requests are carried out, with what goes wrong with them. `close` ends those that hang."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Reset every connection that hangs, from now on at once."""
        self._closed.set()

    async def perform(
        self, request: web.Request, misfortune: Misfortune, deliver: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Return the answer to `request`; `deliver` carries it out and is called only where the fault lets it
        through.
        """
        ending = misfortune.ending
        answer = await deliver() if ending is None or _delivers(ending) else web.Response()
        if misfortune.delay_seconds:
            await self._clock.sleep(misfortune.delay_seconds)
        match ending:
            case Status():
                body, content_type = ending.content()
                answer = web.Response(
                    status=ending.status, body=body, headers={"Content-Type": content_type, **ending.headers}
                )
            case Html():
                answer = web.Response(text=ending.body, content_type="text/html")
            case Reset() | ResetAfterDelivery():
                reset(request)
            case Hang():
                await self._closed.wait()
                reset(request)
            case None:
                pass
        return answer


def _delivers(ending: Ending) -> bool:
    return isinstance(ending, ResetAfterDelivery) or (not isinstance(ending, Reset) and ending.after_delivery)


def reset(request: web.Request) -> None:
    """End the connection with RST, so that the sender sees "connection reset by peer". What the handler returns then
    goes nowhere.
    """
    transport = request.transport
    if transport is None:
        return  # the sender went first
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    transport.abort()
