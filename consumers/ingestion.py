"""The ingestion API of one storefront, over HTTP (seed 003, `POST …/ecommerce/batch` and `DELETE …/user/:userId`)."""

from __future__ import annotations

import io
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from consumers.outcomes import Answer, NoAnswer

if TYPE_CHECKING:
    from types import TracebackType

    from consumers.outcomes import Outcome
    from runtime.settings import IngestionSettings

PATH: Final = "/v1/api/analytics/ecommerce/batch"
USER_PATH: Final = "/v1/api/analytics/user/"
TOTAL_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 5.0
MAX_ANSWER_BYTES: Final = 256 * 1024
"""More than 100 errors of any sensible length; what is longer is not the API's, and is not read to its end."""

_USER_AGENT: Final = f"sluice/{version('sluice-gateway')}"
_REDACTED: Final = "[key]"
_TOO_LARGE_FOR_BYTES: Final = 1024 * 1024


class Ingestion:
    """Posts batches, deletes users. Life: `async with`, or `start` → `post`, `delete` … → `close`.

    Connections are kept alive between requests.
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
                "X-API-Key": key,
                "Content-Type": "application/json",
                "User-Agent": _USER_AGENT,
                # An answer is small; a compressed one could be made to grow without bounds.
                "Accept-Encoding": "identity",
            }
        )
        self._key = key
        self._timeout = aiohttp.ClientTimeout(total=total_seconds, connect=connect_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Get ready; nothing is connected yet."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
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
        # aiohttp warns of large bodies in one piece: a stream is written bit by bit.
        data = body if len(body) < _TOO_LARGE_FOR_BYTES else io.BytesIO(body)
        return await self._ask("POST", self._url, data)

    async def delete(self, user_id: str) -> Answer | NoAnswer:
        """Ask for everything of a user to be removed, and return what `post` does; needs a secret key."""
        return await self._ask("DELETE", URL(f"{self._base}{USER_PATH}{quote(user_id, safe='')}", encoded=True))

    async def _ask(self, method: str, url: URL, data: bytes | io.BytesIO | None = None) -> Answer | NoAnswer:
        if self._session is None:
            raise RuntimeError("request before start")
        try:
            async with self._session.request(method, url, data=data, allow_redirects=False) as response:
                return Answer(response.status, response.headers, await self._read(response))
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            return NoAnswer(isinstance(error, TimeoutError), sent=False, words=_words(error))
        except TimeoutError as error:
            return NoAnswer(timed_out=True, sent=True, words=_words(error))
        except (aiohttp.ClientError, OSError) as error:
            return NoAnswer(timed_out=False, sent=True, words=_words(error))

    def redacted(self, outcome: Outcome) -> Outcome:
        """Return `outcome` without the storefront's key in any of its words: they go to logs and to the dead-letter topic."""
        if not self._key or (
            self._key not in outcome.words and not any(self._key in each for each in outcome.refused.values())
        ):
            return outcome
        refused = {index: words.replace(self._key, _REDACTED) for index, words in outcome.refused.items()}
        return outcome._replace(words=outcome.words.replace(self._key, _REDACTED), refused=refused)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = await response.content.read(MAX_ANSWER_BYTES)
        while len(body) < MAX_ANSWER_BYTES:
            more = await response.content.read(MAX_ANSWER_BYTES - len(body))
            if not more:
                break
            body += more
        else:
            response.close()
        return body


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
