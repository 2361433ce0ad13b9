"""One request at a time to a gateway, and what it answers."""

from __future__ import annotations

import asyncio
import io
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import orjson

from tests.chaos.client import BATCH, TRACK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.chaos.configuration import Shop
    from tests.chaos.upstream import Arrival, Upstream
    from tests.chaos.world import World

DEADLINE = 30.0


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]


class Storefront:
    """Sends for `shop` as a shop's server would."""

    def __init__(self, world: World, shop: Shop, session: aiohttp.ClientSession) -> None:
        self._url = world.gateway_url
        self._session = session
        self._headers = {"X-API-Key": shop.publishable_key, "Content-Type": "application/json"}
        self.shop = shop

    async def post(self, path: str, body: bytes, *, seconds: float = DEADLINE, **headers: str) -> Answer:
        """Send one body as it is; `seconds`: how long the answer may take."""
        limit = aiohttp.ClientTimeout(total=seconds)
        sent = self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.post(self._url + path, data=io.BytesIO(body), headers=sent, timeout=limit) as response:
            return Answer(response.status, orjson.loads(await response.read()))

    async def track(self, text: bytes) -> Answer:
        """Send one event."""
        return await self.post(TRACK, text)

    async def batch(self, *texts: bytes) -> Answer:
        """Send several events."""
        return await self.post(BATCH, b'{"events":[' + b",".join(texts) + b"]}")


def event(number: int, user: str, text: str = "") -> bytes:
    """Return an event of `user`, whose number and text come back from the oracle's store."""
    return orjson.dumps({"event_type": "view_cart", "user_id": user, "properties": {"n": str(number), "text": text}})


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = DEADLINE) -> None:
    """Wait until `condition` holds. Raises AssertionError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.05)


async def arrived(upstream: Upstream, shop: Shop, count: int, seconds: float = DEADLINE) -> list[Arrival]:
    """Return what arrived as soon as `count` events did."""

    async def there() -> bool:
        return await upstream.count(shop) >= count

    await until(there, f"{count} events of {shop.name} arrived", seconds)
    return await upstream.arrivals(shop)
