"""A gateway as a sender sees it: one batch in, one answer out, tried again until there is one."""

from __future__ import annotations

import math
import os
import random
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.ndjson import Line
    from runtime.clock import Clock

BATCH_PATH = "/v1/api/analytics/ecommerce/batch"
ENVELOPE_BYTES = len(b'{"events":[]}')
LONGEST_ATTEMPT = 30.0
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
OF_THE_BODY = frozenset({400, 413})
_ERROR = re.compile(r"events\[(\d+)\]: (.+)", re.DOTALL)


class NoAnswerError(OperatorError):
    """The gateway gave no answer to a batch in time: nobody knows what became of its events."""


class TurnedAwayError(OperatorError):
    """The gateway refuses the sender, not an event: the key, the path, the origin."""


class BodyRefusedError(Exception):
    """The gateway refuses a whole request for what stands in it; str() is its reason."""


class _NotYetError(Exception):
    """This attempt got no answer; the next may. `pause`: the seconds that the gateway asks to wait, None: it does not."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class Client:
    """Sends batches to the gateway at `url` with `key`.

    `patience`: for how many seconds a batch may stay without an answer.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str, clock: Clock, patience: float) -> None:
        self._session = session
        self._url = url.rstrip("/") + BATCH_PATH
        self._headers = {"X-API-Key": key, "Content-Type": "application/json"}
        self._clock = clock
        self._patience = patience

    async def send(self, batch: Sequence[Line]) -> dict[int, str]:
        """Send a batch and return the reason of each refused event by its index; every other one is accepted.

        429, 408, 5xx, lost connections and answers that are not the gateway's are tried again, with the same
        Idempotency-Key, after what Retry-After says. Raises NoAnswerError after `patience` seconds, BodyRefusedError, TurnedAwayError.
        """
        body = b'{"events":[' + b",".join([line.text for line in batch]) + b"]}"
        headers = {**self._headers, "Idempotency-Key": os.urandom(16).hex()}
        deadline = self._clock.monotonic() + self._patience
        backoff = FIRST_PAUSE
        while True:
            left = deadline - self._clock.monotonic()
            try:
                return await self._attempt(body, headers, len(batch), min(LONGEST_ATTEMPT, max(left, 1)))
            except _NotYetError as error:
                pause = error.pause
                if pause is None:
                    pause = random.uniform(0, backoff)  # noqa: S311  # spreads senders, guards nothing
                    backoff = min(2 * backoff, LONGEST_PAUSE)
                if self._clock.monotonic() + pause >= deadline:
                    raise NoAnswerError(f"no answer from {self._url} in {self._patience:g} s: {error}") from None
            await self._clock.sleep(pause)

    async def _attempt(self, body: bytes, headers: dict[str, str], events: int, seconds: float) -> dict[int, str]:
        limit = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, timeout=limit, allow_redirects=False
            ) as response:
                answer = _decoded(await response.read())
        except aiohttp.InvalidURL:
            raise TurnedAwayError(f"{self._url} is no http URL") from None
        except TimeoutError:
            raise _NotYetError(f"it took longer than {seconds:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise _NotYetError(f"cannot connect ({_why(error.os_error)})") from None
        except aiohttp.ClientError as error:
            raise _NotYetError(str(error) or type(error).__name__) from None
        if response.status == HTTPStatus.OK:
            return _refused(answer, events)
        said = str(answer.get("error") or response.reason)
        if response.status in TRY_AGAIN:
            raise _NotYetError(f"it answers {response.status} {said}", _pause(response.headers.get("Retry-After")))
        if response.status in OF_THE_BODY:
            raise BodyRefusedError(said)
        raise TurnedAwayError(f"{self._url} answers {response.status}: {said}")


def _why(error: OSError) -> str:
    """Return the system's words for an error; asyncio puts its own in their place."""
    return os.strerror(error.errno) if error.errno else str(error)


def _decoded(body: bytes) -> dict[str, Any]:
    """Return the JSON object that an answer is; {} when it is none."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _refused(answer: dict[str, Any], events: int) -> dict[int, str]:
    """Read a 200. Only the API's own shape is an answer, and only if it adds up: a proxy's 200 accepts nothing."""
    errors = answer.get("errors", [])
    if answer.get("ok") is not True or not isinstance(errors, list):
        raise _NotYetError("a 200 that is no answer of the Ecommerce API")
    found = {int(match[1]): match[2] for error in errors if (match := _ERROR.fullmatch(str(error)))}
    if answer.get("accepted") != events - len(found) or len(found) != len(errors) or any(i >= events for i in found):
        raise _NotYetError("a 200 whose numbers do not add up")
    return found


def _pause(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After; None without one, or with a date."""
    try:
        pause = float(retry_after or "")
    except ValueError:
        return None
    return pause if math.isfinite(pause) and pause >= 0 else None
