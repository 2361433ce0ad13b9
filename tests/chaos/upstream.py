"""The ingestion API as the tests see it: through its fault port, and as an analyst who asks for the overview."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from sandbox.faults.rules import FaultPlan
    from tests.chaos.configuration import Shop
    from tests.chaos.world import World

FIELDS = "arrival,event_type,transaction_id,ignored,raw"
NUMBER = "properties.n"
PAGE = 20_000


class Arrival(NamedTuple):
    """One event that arrived; `number` is None where it says none."""

    number: int | None
    event_type: str
    transaction_id: str | None
    counts: bool
    raw: bytes


class Upstream:
    """Asks the sandbox of `world`, which must run."""

    def __init__(self, world: World, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{world.ports.sandbox}"
        self._faults = f"http://127.0.0.1:{world.ports.faults}"

    async def set(self, plan: FaultPlan) -> None:
        """Let these faults happen from now on, and no others."""
        async with self._session.put(f"{self._faults}/faults", data=msgspec.json.encode(plan)) as response:
            assert response.status == 200, await response.text()

    async def faults_applied(self) -> dict[str, int]:
        """Return how often each kind of fault happened since the faults were set."""
        applied: dict[str, int] = {}
        async with self._session.get(f"{self._faults}/faults") as response:
            for rule in (await response.json())["rules"]:
                name = str(rule.get("status", rule["effect"]))
                applied[name] = applied.get(name, 0) + rule["applied"]
        return applied

    async def applied(self) -> list[int]:
        """Return how often each rule was applied since the faults were set, in their order."""
        async with self._session.get(f"{self._faults}/faults") as response:
            return [rule["applied"] for rule in (await response.json())["rules"]]

    async def count(self, shop: Shop) -> int:
        """Return how many events arrived, repeats and duplicates included."""
        async with self._session.get(f"{self._faults}/store") as response:
            appspaces = (await response.json())["appspaces"]
        return int(appspaces.get(shop.name, {"arrivals": 0})["arrivals"])

    async def arrivals(self, shop: Shop) -> list[Arrival]:
        """Return everything that arrived, in the order of arrival."""
        return [_arrival(line) async for line in self._lines(shop, FIELDS)]

    async def moments(self, shop: Shop) -> dict[int, float]:
        """Return when each event arrived first, in seconds since the epoch, by its number."""
        moments: dict[int, float] = {}
        async for line in self._lines(shop, "arrival,arrived_at"):
            moments.setdefault(int(line[NUMBER]), datetime.fromisoformat(line["arrived_at"]).timestamp())
        return moments

    async def _lines(self, shop: Shop, fields: str) -> AsyncIterator[dict[str, Any]]:
        query = {"appspace": shop.name, "fields": fields, "property": NUMBER, "limit": str(PAGE), "after": "0"}
        while True:
            async with self._session.get(f"{self._faults}/store/arrivals", params=query) as response:
                assert response.status == 200, await response.text()
                lines = [msgspec.json.decode(line) for line in (await response.read()).splitlines()]
            for line in lines:
                yield line
            if len(lines) < PAGE:
                return
            query["after"] = str(lines[-1]["arrival"])

    async def overview(self, shop: Shop) -> dict[str, Any]:
        """Return the API's own figures; numbers are exact."""
        headers = {"X-API-Key": shop.secret_key}
        async with self._session.get(f"{self._url}/v1/api/analytics/ecommerce/overview", headers=headers) as response:
            assert response.status == 200, await response.text()
            return _decode_exact(await response.read())


def _arrival(line: dict[str, Any]) -> Arrival:
    number = line[NUMBER]
    return Arrival(
        None if number is None else int(number),
        line["event_type"],
        line["transaction_id"],
        line["ignored"] is None,
        line["raw"].encode(),
    )


def _decode_exact(text: bytes) -> dict[str, Any]:
    return msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode(text)
