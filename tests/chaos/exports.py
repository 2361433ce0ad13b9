"""An export under chaos: its vendor restates everything again and again, and a reader checks what comes of it."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import msgspec
import orjson

from broker.interface import Unavailable
from schemas.ledger import ExportState
from schemas.topics import LEDGER, metrics_topic
from tests.chaos.monkey import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    import aiohttp

    from broker.interface import Broker, Record
    from tests.chaos.world import World

DAYS = 4
AGAIN_SECONDS = 0.5
ACCOUNT = """
[[accounts]]
name = "{name}"
source = "profitmetrics"
url = "http://127.0.0.1:{port}/profitmetrics"
api_key = "pm_demo"
requests_per_minute = 1200
[[exports]]
name = "{name}"
account = "{name}"
dataset = "reports"
every = "1s"
timezone = "Europe/Copenhagen"
lookback = "{days}d"
[exports.query]
sites = [10000394]
currency = "EUR"
resolution = "DAY"
metrics = ["TURNOVER"]
"""


def configure(world: World) -> str:
    """Give the world's schedulers an account with one export, pulled every second; return its name."""
    name = world.shop("acme").name
    with world.config.open("a") as config:
        config.write(ACCOUNT.format(name=name, port=world.ports.sandbox, days=DAYS))
    return name


class Restating:
    """The vendor, who says something else about all of history whenever `again` is called. `factor` is what it says now."""

    def __init__(self, world: World, session: aiohttp.ClientSession) -> None:
        self._url = f"http://127.0.0.1:{world.ports.faults}/profitmetrics"
        self._session = session
        self.factor = 1

    async def again(self) -> None:
        self.factor += 1
        always = {"from": "2020-01-01T00:00:00Z", "to": "2040-01-01T00:00:00Z", "factor": self.factor}
        async with self._session.put(f"{self._url}/switches", json={"restatements": [always]}) as answer:
            assert answer.status == 200, await answer.text()

    async def asked(self) -> int:
        """Return how many requests came."""
        return int((await self._requests())["requests"])

    async def most_at_once(self) -> int:
        """Return how many requests of one account were under way at the same time, at the most."""
        return max(int(key["most_at_once"]) for key in (await self._requests())["keys"].values())

    async def _requests(self) -> Any:
        async with self._session.get(f"{self._url}/requests") as answer:
            return await answer.json()


class Reader:
    """Every row of an export that a reader of the topic saw, in order: of a compacted topic nobody can count them later."""

    def __init__(self, broker: Broker, export: str) -> None:
        self._broker = broker
        self._export = export
        self._places: set[tuple[int, int]] = set()
        self._rows: list[tuple[bytes, Any]] = []

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Read along, meanwhile."""
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait([following])
        assert following.cancelled(), following.exception()

    async def pulls(self) -> int:
        """Return how many pulls published something."""
        return len({row["pulled_at"] for _, row in self._rows})

    def agrees(self, factor: int) -> bool:
        """Say whether the newest row of every day that is over is `factor` times what the first one was."""
        newest = {key: row for key, row in self._rows if not row["provisional"]}
        first = {key: row for key, row in self._rows if row["revision"] == 1}
        ratios = [_turnover(row) / _turnover(first[key]) for key, row in newest.items()]
        return bool(ratios) and all(math.isclose(ratio, factor, rel_tol=1e-3) for ratio in ratios)

    def require_whole_pulls(self, at_least: int) -> None:
        """Every pull restates every day that is over by one factor: half a pull would lack days, two pulls in one would have two."""
        base = {key: _turnover(row) for key, row in self._rows if row["revision"] == 1}
        pulls: defaultdict[str, dict[bytes, float]] = defaultdict(dict)
        for key, row in self._rows:
            if not row["provisional"]:
                pulls[row["pulled_at"]][key] = _turnover(row) / base[key]
        assert len(pulls) >= at_least
        for factors in pulls.values():
            assert len(factors) == DAYS
            assert max(factors.values()) - min(factors.values()) < 0.01

    def require_each_revision_once(self) -> None:
        """No row comes twice with one revision, and none is left out."""
        revisions: defaultdict[bytes, list[int]] = defaultdict(list)
        for key, row in self._rows:
            revisions[key].append(row["revision"])
        for found in revisions.values():
            assert found == list(range(1, len(found) + 1))

    async def require_agreement(self, vendor: Restating) -> None:
        """Restate everything once more, and wait until the topic says what the vendor says. Raises AssertionError after a minute."""
        await vendor.again()

        async def agreement() -> int:
            return int(self.agrees(vendor.factor))

        await until(agreement, "the topic saying what the vendor says", at_least=1)

    async def require_no_gap(self) -> None:
        """The ledger says that everything is covered."""
        values = [record.value async for record in self._broker.read(LEDGER) if record.key == self._export.encode()]
        assert len(msgspec.json.decode(values[-1] or b"", type=ExportState).covered) == 1

    async def _follow(self) -> None:
        while True:
            try:
                await self._read_on()
            except Unavailable:
                await asyncio.sleep(AGAIN_SECONDS)

    async def _read_on(self) -> None:
        topic = metrics_topic("profitmetrics", "reports")
        async with aclosing(cast("AsyncGenerator[Record]", self._broker.read(topic, follow=True))) as records:
            async for record in records:
                key, value, place = record.key or b"", record.value, (record.partition, record.offset)
                # After an outage the topic is read from its beginning again.
                if place not in self._places and orjson.loads(key)[0] == self._export:
                    self._places.add(place)
                    self._rows.append((key, None if value is None else orjson.loads(value)))


def _turnover(row: Any) -> float:
    return float(row["metrics"]["TURNOVER"])
