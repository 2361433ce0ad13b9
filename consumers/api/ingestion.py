"""The ingestion API of one storefront, over HTTP (seed 003, `POST …/ecommerce/batch` and `DELETE …/user/:userId`)."""

from __future__ import annotations

import asyncio
import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

import aiohttp
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from consumers.api.answers import Answer, NoAnswer
from runtime.resolver import Resolver

if TYPE_CHECKING:
    from types import TracebackType

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

    from runtime.settings import IngestionSettings

PATH: Final = "/v1/api/analytics/ecommerce/batch"
USER_PATH: Final = "/v1/api/analytics/user/"
TOTAL_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 4.0
"""A connection is kept so long without a request: many servers close theirs after 5 s, and what crosses with that is in doubt."""
MAX_ANSWER_BYTES: Final = 256 * 1024
"""More than 100 errors of any sensible length; what is longer is not the API's, and is not read to its end."""

_USER_AGENT: Final = f"sluice/{version('sluice-gateway')}"
_LINE_END: Final = re.compile(r"[\r\n\0]")
_SWITCHING_PROTOCOLS: Final = 101
_FIRST_FINAL: Final = 200
_FAILURES: Final = (aiohttp.ClientError, HttpProcessingError, OSError)


class Ingestion:
    """Posts batches, deletes users. Life: `async with`, or `start` → `post`, `delete` … → `close`.

    Connections are kept alive between requests. All batches have one head but for the length, so aiohttp connects, pools and
    parses, and what it does to make each request and each response an object of its own is left out: that took ten times as
    long as what remains.
    Each storefront has connections, name resolution and cookies (none) of its own, so that one cannot use up
    another's.
    """

    def __init__(
        self,
        settings: IngestionSettings,
        *,
        total_seconds: float = TOTAL_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        key = settings.api_key.get_secret_value()
        self._base = settings.url.rstrip("/")
        self._url = URL(self._base + PATH)
        self._headers = CIMultiDict(
            {
                "Host": self._url.host_port_subcomponent or "",
                "Accept": "*/*",
                "X-API-Key": key,
                "Content-Type": "application/json",
                "User-Agent": _USER_AGENT,
                # An answer is small; a compressed one could be made to grow without bounds.
                "Accept-Encoding": "identity",
            }
        )
        self.secret: Final = key
        """Our key, which whatever the API says must be freed of."""
        self._timeout = aiohttp.ClientTimeout(total=total_seconds, connect=connect_seconds)
        self._head = _head(self._url, self._headers)
        self._session: aiohttp.ClientSession | None = None
        self._connector: aiohttp.TCPConnector | None = None
        self._wanted: aiohttp.ClientRequest | None = None

    async def start(self) -> None:
        """Get ready; nothing is connected yet."""
        self._connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS, resolver=Resolver())
        # Says where to, and how, connections are wanted; it is never sent.
        self._wanted = aiohttp.ClientRequest("POST", self._url, loop=asyncio.get_running_loop())
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            timeout=self._timeout,
        )

    async def close(self) -> None:
        """Close every connection; requests under way end with NoAnswer. Idempotent."""
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    async def post(self, body: bytes) -> Answer | NoAnswer:
        """Post one batch and return what came back, or why nothing did. Redirects are not followed.

        Waits at most `total_seconds`. Raises nothing of the network's.
        """
        if self._connector is None or self._wanted is None:
            raise RuntimeError("request before start")
        connection: Connection | None = None
        sent = False
        try:
            async with asyncio.timeout(self._timeout.total):
                connection = await self._connector.connect(self._wanted, [], self._timeout)
                protocol, transport = connection.protocol, connection.transport
                # What came while nothing was asked, such as a proxy's parting 408, would be taken for the answer to this.
                if protocol is None or transport is None or protocol.should_close:
                    raise aiohttp.ServerDisconnectedError
                sent = True
                answer, whole = await self._exchange(protocol, transport, body)
        except TimeoutError:
            return NoAnswer(timed_out=True, sent=sent, words=self._too_late(sent=sent))
        except _FAILURES as error:
            return NoAnswer(timed_out=False, sent=sent, words=_words(error))
        else:
            if whole:
                connection.release()
                connection = None
            return answer
        finally:
            if connection is not None:
                # To close it would mean to keep it, and the body, until an API that does not read has read the rest.
                if connection.transport is not None:
                    connection.transport.abort()
                connection.close()

    async def _exchange(
        self, protocol: ResponseHandler, transport: asyncio.Transport, body: bytes
    ) -> tuple[Answer, bool]:
        """Send a batch and return the answer, and whether the connection can carry another: both were read and written to their ends."""
        protocol.set_response_params(read_until_eof=True, auto_decompress=False)
        transport.writelines((self._head, b"%d\r\n\r\n" % len(body), body))
        message, payload = await protocol.read()
        while message.code < _FIRST_FINAL and message.code != _SWITCHING_PROTOCOLS:
            message, payload = await protocol.read()
        read = await _read(payload)
        return Answer(message.code, message.headers, read), payload.at_eof() and not transport.get_write_buffer_size()

    async def delete(self, user_id: str) -> Answer | NoAnswer:
        """Ask for everything of a user to be removed, and return what `post` does; needs a secret key."""
        if self._session is None:
            raise RuntimeError("request before start")
        url = URL(f"{self._base}{USER_PATH}{quote(user_id, safe='')}", encoded=True)
        try:
            async with self._session.delete(url, allow_redirects=False) as response:
                body = await _read(response.content)
                if not response.content.at_eof():
                    response.close()
                return Answer(response.status, response.headers, body)
        except aiohttp.ConnectionTimeoutError:
            return NoAnswer(timed_out=True, sent=False, words=self._too_late(sent=False))
        except TimeoutError:
            return NoAnswer(timed_out=True, sent=True, words=self._too_late(sent=True))
        except _FAILURES as error:
            never = isinstance(error, aiohttp.ClientConnectorError | aiohttp.InvalidURL)
            return NoAnswer(timed_out=False, sent=not never, words=_words(error))

    def _too_late(self, *, sent: bool) -> str:
        if sent:
            return f"no answer within {self._timeout.total:g} s"
        return f"no connection within {self._timeout.connect:g} s"


def _head(url: URL, headers: CIMultiDict[str]) -> bytes:
    """Return the head of each post up to the number of its bytes. Raises ValueError for a header that would end its line."""
    lines = [f"POST {url.raw_path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any(_LINE_END.search(line) for line in lines):
        raise ValueError("api_key: holds a line's end")
    return "\r\n".join([*lines, "Content-Length: "]).encode()


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Return a body, or the first of it when it is longer than any answer of the API."""
    body = await content.read(MAX_ANSWER_BYTES)
    while len(body) < MAX_ANSWER_BYTES and (more := await content.read(MAX_ANSWER_BYTES - len(body))):
        body += more
    return body


def _words(error: Exception) -> str:
    """Return what went wrong, in an operator's words where aiohttp's are not."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed before there was an answer"
    if isinstance(error, HttpProcessingError):
        return "what came is not HTTP: " + " ".join(error.message.split())
    return " ".join(str(error).split()) or type(error).__name__
