"""Two schedulers are killed and frozen again and again while the vendor restates everything: a reader sees each pull whole or not at
all, no row comes twice with one revision, nothing is missing, and in the end the topic says what the vendor says.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import msgspec
import orjson
import pytest

from schemas.ledger import ExportState
from schemas.topics import LEDGER, metrics_topic
from tests.chaos.configuration import Log
from tests.chaos.length import SHORT, TIMEOUT, shop_names
from tests.chaos.monkey import Monkey, progress, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import aiohttp

    from broker.interface import Broker, Record
    from tests.chaos.role import Role
    from tests.chaos.world import World
    from tests.kafka.fixtures import RunningKafka

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIMEOUT)]

PULLS = 12 if SHORT else 200
DAYS = 4
EXPORT = """
[[accounts]]
name = "{name}"
source = "profitmetrics"
url = "http://127.0.0.1:{port}/profitmetrics"
api_key = "pm_demo"
requests_per_minute = 1200
[[exports]]
name = "{name}-daily"
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

    async def most_at_once(self) -> int:
        async with self._session.get(f"{self._url}/requests") as answer:
            return max(int(key["most_at_once"]) for key in (await answer.json())["keys"].values())


async def _survive(world: World, session: aiohttp.ClientSession) -> None:
    name = world.shop("acme").name
    with world.config.open("a") as config:
        config.write(EXPORT.format(name=name, port=world.ports.sandbox, days=DAYS))
    await asyncio.to_thread(world.start, "sandbox", "scheduler", "scheduler-2")
    vendor = Restating(world, session)
    async with world.broker() as broker:
        seen: list[tuple[bytes, Any]] = []
        reading = asyncio.create_task(_read(broker, f"{name}-daily", seen))
        try:
            await _ride_out(world, vendor, seen)
        finally:
            reading.cancel()
            await asyncio.wait([reading])
        _require_whole_pulls(seen)
        _require_each_revision_once(seen)
        state = await _state(broker, f"{name}-daily")
        assert len(state.covered) == 1
        assert await vendor.most_at_once() == 1


async def _read(broker: Broker, export: str, seen: list[tuple[bytes, Any]]) -> None:
    """Collect the export's rows as they come: of a compacted topic nobody can count them later."""
    topic = metrics_topic("profitmetrics", "reports")
    async with aclosing(cast("AsyncGenerator[Record]", broker.read(topic, follow=True))) as records:
        async for record in records:
            key, value = record.key or b"", record.value
            if orjson.loads(key)[0] == export:
                seen.append((key, None if value is None else orjson.loads(value)))


async def _ride_out(world: World, vendor: Restating, seen: list[tuple[bytes, Any]]) -> None:
    """Kill and restate until there were enough pulls, then wait until the topic says what the vendor says."""

    async def pulls() -> int:
        return len({row["pulled_at"] for _, row in seen})

    async def agreement() -> int:
        return int(_agrees(seen, vendor.factor))

    enough = False

    async def working(role: Role) -> None:
        await progress(pulls, role.name, unless=lambda: enough)

    await until(pulls, "the first pull", at_least=1)
    monkey = Monkey([world.role("scheduler"), world.role("scheduler-2")], world.seed, working)
    async with asyncio.TaskGroup() as group, asyncio.timeout(TIMEOUT):
        group.create_task(monkey.run())
        while (before := await pulls()) < PULLS:
            await vendor.again()
            await until(pulls, "pulls", at_least=before + 1)
        enough = True
        monkey.stop()
    await vendor.again()
    await until(agreement, "the topic saying what the vendor says", at_least=1)
    world.notes.append(f"{await pulls()} pulls published, killed: {dict(monkey.kills)}")


def _agrees(seen: list[tuple[bytes, Any]], factor: int) -> bool:
    """Say whether the newest row of every day that is over is `factor` times what the first one was."""
    newest = {key: row for key, row in seen if not row["provisional"]}
    first = {key: row for key, row in seen if row["revision"] == 1}
    ratios = [_turnover(row) / _turnover(first[key]) for key, row in newest.items()]
    return bool(ratios) and all(math.isclose(ratio, factor, rel_tol=1e-3) for ratio in ratios)


def _require_whole_pulls(rows: list[tuple[bytes, Any]]) -> None:
    """Every pull restates every day that is over by one factor: half a pull would lack days, two pulls in one would have two."""
    base = {key: _turnover(row) for key, row in rows if row["revision"] == 1}
    pulls: defaultdict[str, dict[bytes, float]] = defaultdict(dict)
    for key, row in rows:
        if not row["provisional"]:
            pulls[row["pulled_at"]][key] = _turnover(row) / base[key]
    assert len(pulls) >= PULLS // 2
    for factors in pulls.values():
        assert len(factors) == DAYS
        assert max(factors.values()) - min(factors.values()) < 0.01


def _require_each_revision_once(rows: list[tuple[bytes, Any]]) -> None:
    revisions: defaultdict[bytes, list[int]] = defaultdict(list)
    for key, row in rows:
        revisions[key].append(row["revision"])
    for found in revisions.values():
        assert found == list(range(1, len(found) + 1))


def _turnover(row: Any) -> float:
    return float(row["metrics"]["TURNOVER"])


async def _state(broker: Broker, export: str) -> ExportState:
    values = [record.value async for record in broker.read(LEDGER) if record.key == export.encode()]
    return msgspec.json.decode(values[-1] or b"", type=ExportState)


@pytest.mark.kafka
@pytest.mark.skipif(SHORT, reason="Kafka takes 6 s to miss whoever is killed: make chaos")
async def test_on_kafka(make_world: Callable[..., World], kafka: RunningKafka, session: aiohttp.ClientSession) -> None:
    await _survive(make_world(shop_names("acme"), Log(kafka.bootstrap_servers)), session)


async def test_on_the_embedded_log(make_world: Callable[..., World], session: aiohttp.ClientSession) -> None:
    await _survive(make_world(shop_names("acme")), session)
