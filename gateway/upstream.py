"""One storefront's ingestion API as the gateway passes requests through to it: its connections, their limits, its answers as they come."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
from aiohttp import web
from yarl import URL

from gateway.backlog import seconds
from gateway.errors import Refusal
from gateway.hop import answer_headers
from runtime.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multidict import CIMultiDict
    from structlog.typing import FilteringBoundLogger

_ADDED_BY_THE_CLIENT: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_KEEP_ALIVE_SECONDS: Final = 4.0
"""Shorter than what servers grant (Node's: 5 s): a POST on a connection that is just being closed cannot be told from one that was
taken, and is not sent twice.
"""
_TOO_LARGE_FOR_BYTES: Final = 1024 * 1024


class Limits(NamedTuple):
    """`at_once`: requests of one storefront. Seconds: to connect, without a byte from the upstream, and for a whole exchange, in which
    a reader that stalls is included.
    """

    at_once: int = 100
    connect_seconds: float = 5.0
    silent_seconds: float = 30.0
    total_seconds: float = 120.0


class Outgoing(NamedTuple):
    """A request as it goes on: path and query as they are to be sent, None for no body."""

    method: str
    path: str
    query: str
    headers: CIMultiDict[str]
    body: bytes | None


class Upstream:
    """Connections are pooled, and each storefront has its own: one whose API hangs costs another nothing (G4).

    Life: `pass_on` …, `retire` or `close`. Nothing is connected before the first request.
    """

    def __init__(self, name: str, url: str, limits: Limits, log: FilteringBoundLogger) -> None:
        self._name = name
        self._url = url.rstrip("/")
        self._limits = limits
        self._log = log
        self._under_way = 0
        self._retired = False
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def retire(self) -> None:
        """Close every connection as soon as nothing is under way; it is not waited for."""
        self._retired = True
        if not self._under_way:
            await self.close()

    async def pass_on(
        self, request: web.BaseRequest, outgoing: Outgoing, ours: Mapping[str, str], *, last: bool
    ) -> web.StreamResponse:
        """Send the request and stream the answer to its sender, status and body as they are; return it. `ours`: the headers that we
        add; `last`: the sender's connection ends with it.

        An answer that breaks off ends the sender's connection, so that it is not taken for whole. Raises Refusal, before anything is
        answered: OVERLOADED, UPSTREAM_UNREACHABLE, UPSTREAM_TIMEOUT.
        """
        if self._under_way >= self._limits.at_once:
            raise Refusal("OVERLOADED", "The gateway is overloaded. Please try again later.", retry_after=seconds(1))
        self._under_way += 1
        response: web.StreamResponse | None = None
        try:
            async with (
                asyncio.timeout(self._limits.total_seconds),
                self._connections().request(
                    outgoing.method,
                    self._url_of(outgoing),
                    headers=outgoing.headers,
                    data=_data(outgoing.body),
                    allow_redirects=False,
                ) as answer,
            ):
                response = web.StreamResponse(status=answer.status, reason=answer.reason)
                response.headers.extend(answer_headers(answer.headers, ours))
                if last:
                    response.force_close()
                await self._stream(answer, request, response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if response is None or not response.prepared:
                raise self._refusal(error) from error
            # Whoever broke it off: a sender that is still there must see that it is not whole.
            if request.transport is not None:
                request.transport.abort()
            self._log.warning("answer broken off", storefront=self._name, error=type(error).__name__)
        finally:
            self._under_way -= 1
            if self._retired and not self._under_way:
                await self.close()
        return response

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            limits = self._limits
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=limits.at_once, keepalive_timeout=_KEEP_ALIVE_SECONDS, resolver=Resolver()
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=limits.connect_seconds, sock_read=limits.silent_seconds
                ),
                auto_decompress=False,
                skip_auto_headers=_ADDED_BY_THE_CLIENT,
            )
        return self._session

    def _url_of(self, outgoing: Outgoing) -> URL:
        query = f"?{outgoing.query}" if outgoing.query else ""
        return URL(self._url + outgoing.path + query, encoded=True)

    async def _stream(
        self, answer: aiohttp.ClientResponse, request: web.BaseRequest, response: web.StreamResponse
    ) -> None:
        await response.prepare(request)
        async for part in answer.content.iter_any():
            await response.write(part)
        await response.write_eof()

    def _refusal(self, error: Exception) -> Refusal:
        # aiohttp's words may quote the URL, and with it whom a query is about, or what the upstream sent.
        reason = error.strerror if isinstance(error, OSError) else None
        self._log.warning("upstream did not answer", storefront=self._name, error=type(error).__name__, reason=reason)
        if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
            return Refusal("UPSTREAM_TIMEOUT", "The analytics API did not answer in time")
        return Refusal("UPSTREAM_UNREACHABLE", "The analytics API could not be reached")


def _data(body: bytes | None) -> bytes | io.BytesIO | None:
    # aiohttp warns of large bodies in one piece: a stream is written bit by bit.
    return body if body is None or len(body) < _TOO_LARGE_FOR_BYTES else io.BytesIO(body)
