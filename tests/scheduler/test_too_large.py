"""Pulls that no transaction takes: the export stops with the reason, after one request, and the others go on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pytest
import structlog

from runtime.clock import SystemClock
from runtime.metrics import Metrics
from runtime.settings import ExportSettings
from scheduler.cache import TRANSACTION_BYTES
from scheduler.lease import Lease
from scheduler.report import Report
from schemas.commands import ExportCommand
from schemas.ledger import ExportState
from schemas.topics import LEDGER, metrics_topic
from tests.scheduler.far_side import Say, until
from tests.scheduler.surroundings import opened, settings, working

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from broker.interface import Broker
    from tests.scheduler.far_side import FarSide

MEGABYTE = 1_000_000
CATALOGUE = metrics_topic("profitmetrics", "metrics")


def results(metrics: Metrics) -> set[tuple[str, str]]:
    """Return how pulls ended, by export."""
    samples = (sample for family in metrics.export_pulls_total.collect() for sample in family.samples)
    return {(found.labels["export"], found.labels["result"]) for found in samples if found.name.endswith("_total")}


def catalogue(name: str) -> ExportSettings:
    """Return an export of the vendor's metrics, all of which are one bucket: they have none."""
    given = {"name": name, "account": "shop-profit", "dataset": "metrics", "every": "1d"}
    return ExportSettings.model_validate(given)


def answer(count: int, size: int) -> list[dict[str, Any]]:
    return [{"value": f"M{number}", "label": "a", "told": "x" * size} for number in range(count)]


async def states(broker: Broker) -> dict[str, ExportState]:
    return {
        (record.key or b"").decode(): msgspec.json.decode(record.value or b"", type=ExportState)
        async for record in broker.read(LEDGER)
        if record.key in (b"large", b"small")
    }


@pytest.mark.parametrize(
    ("count", "size", "reason"),
    [
        (TRANSACTION_BYTES // MEGABYTE + 1, MEGABYTE, "more than the 32 MiB that are published at once"),
        (1, 5 * MEGABYTE, "the log does not take what was pulled: a record of 5000"),
    ],
)
async def test_the_export_stops_and_the_others_go_on(
    tmp_path: Path, far_side: FarSide, session: aiohttp.ClientSession, count: int, size: int, reason: str
) -> None:
    configured = settings(tmp_path, far_side.url, catalogue("large"), catalogue("small"))
    lease, counted = Lease(SystemClock()), Metrics()
    report = Report(counted, SystemClock(), structlog.get_logger())
    lease.use(lambda: math.inf)
    far_side.say(Say(200, answer(count, size)))
    far_side.answer = Say(200, answer(3, 10))
    async with opened(configured) as broker:
        async with working(configured, broker, session, lease, report, tmp_path):
            await until(lambda: results(counted) == {("large", "refused"), ("small", "published")})
        stopped = (await states(broker))["large"]
        assert stopped.status == "stopped"
        assert reason in stopped.reason
        async with working(configured, broker, session, lease, report, tmp_path) as estate:
            await until(lambda: estate.fault() is None)
            await estate.heard("small", ExportCommand(run="again"))
            await until(lambda: len(far_side.got) == 3)
        assert (await states(broker))["large"] == stopped
        published = [orjson.loads(record.key or b"")[0] async for record in broker.read(CATALOGUE)]
        assert published == ["small"] * 3
    assert len(far_side.got) == 3
