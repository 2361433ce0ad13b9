"""An ingestion API that answers at once, or after so long, and keeps nothing: what the forwarder is measured against.

`python -m bench.sink PORT [MILLISECONDS]`.

It finds the end of a request by its Content-Length and counts on batches being sent whole; nothing of the body is looked at.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

BODY = b'{"ok":true}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Sink(asyncio.Protocol):
    """One connection. Answers after `delay` seconds."""

    def __init__(self, delay: float = 0.0) -> None:
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._missing = 0
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Count a request's bytes down and answer at their end."""
        if self._missing == 0:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            self._head = b""
            lower = data[:end].lower()
            start = lower.find(b"content-length:") + 15
            stop = lower.find(b"\r\n", start)
            self._missing = int(lower[start : stop if stop >= 0 else end])
            data = data[end + 4 :]
        self._missing -= len(data)
        if self._missing <= 0:
            self._missing = 0
            assert self._transport is not None  # noqa: S101 - connected
            if self._delay:
                self._loop.call_later(self._delay, self._transport.write, ANSWER)
            else:
                self._transport.write(ANSWER)


async def serve(port: int, delay: float) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(lambda: Sink(delay), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0.0))
