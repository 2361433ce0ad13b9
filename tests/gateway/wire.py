"""A sender that speaks to the gateway byte by byte."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import orjson

from tests.gateway.conftest import PUBLISHABLE, TRACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.gateway.conftest import Gateway

VIEW = b'{"event_type":"view_cart"}'
HEAD = f"POST {TRACK} HTTP/1.1\r\nHost: x\r\nX-API-Key: {PUBLISHABLE}\r\n".encode()
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(VIEW) + VIEW
_ANSWER = re.compile(rb"HTTP/1\.[01] (\d+) [^\r]*\r\n(.*?)\r\n\r\n(\{.*?\})", re.DOTALL)


class Said(NamedTuple):
    """One answer."""

    status: int
    code: str | None
    head: str


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._read = b""

    async def send(self, piece: bytes) -> None:
        """Send a piece of its own. A gateway that hung up is no fault here: what it said before is to be read."""
        with suppress(ConnectionError):
            self.writer.write(piece)
            await self.writer.drain()

    async def said(self) -> list[Said]:
        """Return the answers when the gateway has closed the connection."""
        with suppress(ConnectionError):
            async with asyncio.timeout(5):
                # In pieces: what was read before a reset would be lost otherwise.
                while piece := await self._reader.read(65536):
                    self._read += piece
        return self._answers()

    async def first(self) -> Said:
        """Return the first answer as soon as it is there; the connection may stay open."""
        async with asyncio.timeout(5):
            while not (answers := self._answers()):
                piece = await self._reader.read(65536)
                assert piece, "closed without an answer"
                self._read += piece
        return answers[0]

    async def until(self, text: bytes) -> None:
        """Read until `text` came."""
        async with asyncio.timeout(5):
            while text not in self._read:
                self._read += await self._reader.read(65536)

    def _answers(self) -> list[Said]:
        # A 100 is no answer yet.
        said = self._read.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
        return [
            Said(int(status), orjson.loads(body).get("code"), head.decode())
            for status, head, body in _ANSWER.findall(said)
        ]


@asynccontextmanager
async def wire(gateway: Gateway) -> AsyncIterator[Wire]:
    """Connect."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def said_to(gateway: Gateway, *pieces: bytes) -> list[Said]:
    """Send pieces, each of its own, and return what was answered before the gateway closed the connection."""
    async with wire(gateway) as sender:
        for piece in pieces:
            await sender.send(piece)
            await asyncio.sleep(0)
        return await sender.said()
