"""One request and its answer over HTTP, whoever asks; what goes wrong on the way is a PullError in an operator's words."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from runtime.resolver import Resolver
from scheduler.body import Body
from scheduler.errors import ExportRefused, Retryable, TimedOut
from scheduler.gunzip import Gunzip
from scheduler.no_answer import no_answer
from scheduler.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runtime.clock import Clock

CONNECT_SECONDS: Final = 10.0
_READ_BYTES: Final = 64 * 1024
_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": f"sluice/{version('sluice-gateway')}",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What an answer may take: bytes when decompressed, seconds without any of it, seconds in all."""

    max_bytes: int = 4 * 1024**3
    idle_seconds: float = 60.0
    longest_seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `path` comes behind the base URL, percent-encoded where it must be; `body` is sent as JSON.

    `headers` hold no credentials. `timeout_seconds`: how long the answer may take to begin.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 120.0

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or "?" in self.path or "#" in self.path:
            raise ValueError(f"no path: {self.path!r}")


def vendor_session() -> aiohttp.ClientSession:
    """Return a session for all accounts: no account's connections wait for another's, and none gets another's cookies."""
    connector = aiohttp.TCPConnector(limit=0, resolver=Resolver())
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


class Exchange:
    """Sends requests to the API at `url`, which has no slash at its end. Knows neither budgets nor credentials.

    `directory`: where large answers are staged; None: the system's place for temporary files.
    """

    def __init__(
        self, url: str, session: aiohttp.ClientSession, clock: Clock, directory: Path | None, limits: Limits
    ) -> None:
        self._url = url
        self._session = session
        self._clock = clock
        self._directory = directory
        self._limits = limits

    async def send(self, request: Request, credentials: Mapping[str, str]) -> Reply:
        """Return the whole answer, whatever its status; whoever called closes it. Redirects are not followed.

        `credentials` are further headers. Waits for the vendor. Raises Retryable for what the network does: no connection, no
        answer in time, one that was cut off; ExportRefused for an answer larger than may be, which the next would be too.
        """
        body = Body(self._directory)
        try:
            async with asyncio.timeout(self._limits.longest_seconds):
                return await self._send(request, credentials, body)
        except (aiohttp.ClientError, OSError, zlib.error) as error:
            body.close()
            raise no_answer(error, body.size) from error
        except BaseException:
            body.close()
            raise

    async def _send(self, request: Request, credentials: Mapping[str, str], body: Body) -> Reply:
        async with await self._begun(request, credentials) as response:
            received_at = datetime.fromtimestamp(self._clock.now(), UTC)
            await self._stage(response, body)
            return Reply(response.status, response.headers, body, received_at)

    async def _begun(self, request: Request, credentials: Mapping[str, str]) -> aiohttp.ClientResponse:
        headers = CIMultiDict(_HEADERS)
        data = None
        if request.body is not None:
            headers["Content-Type"] = "application/json"
            data = orjson.dumps(request.body)
        headers.update(request.headers)
        headers.update(credentials)
        try:
            async with asyncio.timeout(request.timeout_seconds):
                return await self._session.request(
                    request.method,
                    URL(self._url + request.path).with_query(request.query),
                    data=data,
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                    allow_redirects=False,
                    # aiohttp takes gzip that was cut off for whole.
                    auto_decompress=False,
                )
        except aiohttp.ConnectionTimeoutError:
            raise
        except TimeoutError as error:
            raise TimedOut(f"the vendor did not begin to answer within {request.timeout_seconds:g} s") from error

    async def _stage(self, response: aiohttp.ClientResponse, body: Body) -> None:
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity", "gzip"):
            raise Retryable(f"the answer is encoded as {encoding[:40]}, which was not asked for")
        gunzip = Gunzip() if encoding == "gzip" else None
        while data := await self._read(response, body):
            for piece in (data,) if gunzip is None else gunzip.unpack(data):
                await self._keep(body, piece)
        await self._keep(body, b"", last=True)
        if gunzip is not None and not gunzip.whole:
            raise Retryable(f"the answer was cut off after {body.size} bytes, within its compression")

    async def _read(self, response: aiohttp.ClientResponse, body: Body) -> bytes:
        try:
            async with asyncio.timeout(self._limits.idle_seconds):
                return await response.content.read(_READ_BYTES)
        except TimeoutError as error:
            idle = self._limits.idle_seconds
            raise TimedOut(f"the answer stopped after {body.size} bytes: nothing more came for {idle:g} s") from error

    async def _keep(self, body: Body, piece: bytes, *, last: bool = False) -> None:
        if body.size + len(piece) > self._limits.max_bytes:
            # Asked again the same way it would be as large again.
            raise ExportRefused(f"the answer is larger than {self._limits.max_bytes} bytes; ask for less of it at once")
        try:
            await (body.finish() if last else body.write(piece))
        except OSError as error:
            raise Retryable(f"the answer could not be put on disk: {error.strerror or type(error).__name__}") from error
