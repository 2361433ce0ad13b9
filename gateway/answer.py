"""The answer of nearly all requests: a 200 with a small JSON body, to a sender that is no browser."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import orjson
from aiohttp import HttpVersion11, web

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiohttp.abc import AbstractStreamWriter

    from gateway.errors import Refusal
    from gateway.server import Protocol

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nX-Request-Id: %b\r\nDate: %b\r\n%b\r\n%b"
_REFUSED = b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nX-Request-Id: %b\r\nDate: %b\r\n%b\r\n%b"

_MARK = b"\0"


def accepted(body: bytes, request_id: str, date: bytes, lines: bytes = b"") -> bytes:
    """Return a whole 200. `lines`: further lines of the head, each with its end."""
    return _HEAD % (len(body), request_id.encode(), date, lines, body)


def accepted_alike(body: bytes, request_ids: Iterable[str], date: bytes) -> Iterator[bytes]:
    """Yield `accepted` of each request: all of them have the same body."""
    before, after = (_HEAD % (len(body), _MARK, date, b"", body)).split(_MARK, 1)
    for request_id in request_ids:
        yield before + request_id.encode() + after


def refused(refusal: Refusal, request_id: str, date: bytes) -> bytes:
    """Return a whole refusal, after which the connection stays open."""
    body = orjson.dumps({"error": refusal.message, "code": refusal.code})
    retry = b"" if refusal.retry_after is None else b"Retry-After: %d\r\n" % refusal.retry_after
    phrase = HTTPStatus(refusal.status).phrase.encode()
    return _REFUSED % (refusal.status, phrase, len(body), request_id.encode(), date, retry, body)


class Answer(web.StreamResponse):
    """Head and body, sent in one piece, by a `Protocol` of ours.

    What aiohttp does for any answer goes for the most part into what this one never has: cookies, compression, chunks, an older HTTP.
    Done without, a single event is answered in four fifths of the time. `suits` tells which requests may be answered so.
    `lines`: further lines of the head, each with its end.
    """

    def __init__(self, body: bytes, request_id: str, date: bytes, lines: bytes = b"") -> None:
        # Not the parent's: it makes headers that nobody would read.
        self._bytes = accepted(body, request_id, date, lines)
        self._keep_alive = True

    @staticmethod
    def suits(request: web.BaseRequest) -> bool:
        """Return whether the sender speaks HTTP/1.1 and keeps its connection."""
        return request.version == HttpVersion11 and request.keep_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send all of it. Raises ConnectionResetError when the sender is gone."""
        cast("Protocol", request.protocol).send(self._bytes)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: it is sent."""


class HttpDate:
    """The present time as the Date header has it, made once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = b""

    def __call__(self) -> bytes:
        """Return the header's value."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._text = formatdate(second, usegmt=True).encode()
        return self._text
