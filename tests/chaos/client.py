"""A storefront's client: it asks until it has an answer."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from tests.chaos.ledger import Ledger
    from tests.chaos.shopping import Event

TRACK = "/v1/api/analytics/ecommerce/track"
BATCH = "/v1/api/analytics/ecommerce/batch"
ATTEMPT_SECONDS = 20.0
PATIENCE_SECONDS = 120.0
LONGEST_PAUSE = 1.0
GIVING_UP = 0.05
"""How likely a client, having had no answer, never asks again: its visitor went away."""


class Client:
    """Sends the events of one lane, one request at a time, and notes the answers in `ledger`.

    A lost connection, a 503 and a 429 are tried again with the same body, as the vendor's SDK does; any other answer but the
    right one raises AssertionError.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, ledger: Ledger, random: Random) -> None:
        self._session = session
        self._url = url
        self._ledger = ledger
        self._random = random

    async def send(self, events: Sequence[Event]) -> None:
        """Send events in one request; return when they are answered, or given up."""
        single = len(events) == 1 and self._random.random() < 0.8
        body = events[0].text if single else b'{"events":[' + b",".join(event.text for event in events) + b"]}"
        headers = {"X-API-Key": self._ledger.shop.publishable_key, "Content-Type": "application/json"}
        if self._random.random() < 0.5:
            headers["Idempotency-Key"] = f"{events[0].number}"
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = 0.05
        while True:
            answer = await self._ask(TRACK if single else BATCH, body, headers)
            if answer is not None:
                self._note(events, answer, single=single)
                return
            if self._random.random() < GIVING_UP:
                self._ledger.answers["given up"] += 1
                return
            assert time.monotonic() < deadline, f"no answer in {PATIENCE_SECONDS:g} s to event {events[0].number}"
            await asyncio.sleep(self._random.uniform(pause / 2, pause))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _ask(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]] | None:
        """Return the answer, None when there is none that counts."""
        limit = aiohttp.ClientTimeout(total=ATTEMPT_SECONDS)
        try:
            async with self._session.post(self._url + path, data=body, headers=headers, timeout=limit) as response:
                answer = orjson.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            self._ledger.answers[f"none: {type(error).__name__}"] += 1
            return None
        name = f"{response.status} {answer.get('code', '')}".rstrip()
        self._ledger.answers[name] += 1
        if response.status in (429, 503):
            assert int(response.headers["Retry-After"]) >= 1
            return None
        assert response.status in (200, 400), f"{name}: {answer}"
        return response.status, answer

    def _note(self, events: Sequence[Event], answer: tuple[int, dict[str, Any]], *, single: bool) -> None:
        status, body = answer
        if single:
            self._ledger.answered(events[0], accepted=status == 200)
            return
        assert status == 200, body
        refused = {int(error.removeprefix("events[").partition("]")[0]) for error in body.get("errors", [])}
        assert body["accepted"] == len(events) - len(refused), body
        for index, event in enumerate(events):
            self._ledger.answered(event, accepted=index not in refused)
