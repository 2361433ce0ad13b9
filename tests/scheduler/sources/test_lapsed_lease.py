"""A lease that lapses while a vendor is being asked: nothing of that is an export's fault, and nothing is put down."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from runtime.clock import ManualClock, SystemClock
from runtime.metrics import Metrics
from scheduler.lease import Lease, NotOwner
from scheduler.report import Report
from schemas.topics import LEDGER
from tests.scheduler.far_side import Say, until
from tests.scheduler.sources.profitmetrics.world import Rows, ask, export, source, world
from tests.scheduler.surroundings import opened, settings, working
from tests.scheduler.world import reports

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from scheduler.sources.interface import Ask
    from tests.scheduler.far_side import FarSide

CATALOGUE = [{"value": name, "label": name} for name in ("TURNOVER", "NUMBER_OF_ORDERS")]
REFUSED = {"success": False, "errorCode": "NO_ACCESS_TO_SITES", "errorDetails": None}


def _exports(dataset: str) -> list[Ask]:
    """Return asks that need a request each: the second is refused, and the third's metric is looked for in the catalogue anew."""
    wanted = (("TURNOVER", 10000394), ("TURNOVER", 4711), ("NO_SUCH_METRIC", 10000394))
    return [
        ask(export([metric], dataset=dataset, **_sites(dataset, site)), number=number)
        for number, (metric, site) in enumerate(wanted)
    ]


def _sites(dataset: str, site: int) -> dict[str, Any]:
    return {"sites" if dataset == "reports" else "csids": [site]}


@pytest.mark.parametrize("dataset", ["reports", "export", "metrics"])
async def test_whenever_it_lapses_it_is_no_failure_of_an_ask(dataset: str) -> None:
    asks = _exports(dataset) if dataset != "metrics" else [ask(export(dataset="metrics"))]
    left = 0

    def may_ask() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise NotOwner("not ours")

    lapsed = 0
    async with world() as profit:
        while True:
            left = lapsed
            try:
                await source(profit.vendor, may_ask=may_ask).pull(asks, [Rows() for _ in asks])
            except NotOwner:
                lapsed += 1
            else:
                break
    assert lapsed == {"reports": 8, "export": 6, "metrics": 2}[dataset]


async def test_lapsed_in_the_midst_of_a_shared_call_nothing_is_put_down(
    tmp_path: Path, far_side: FarSide, session: aiohttp.ClientSession
) -> None:
    configured = settings(tmp_path, far_side.url, reports("one"), reports("two"))
    answered = asyncio.Event()
    far_side.say(Say(200, CATALOGUE), Say(403, REFUSED, before=answered))
    clock, metrics, told = ManualClock(), Metrics(), structlog.testing.CapturingLogger()
    report = Report(metrics, SystemClock(), structlog.wrap_logger(told, processors=[]))
    lease = Lease(clock)
    until_then = clock.monotonic() + 5
    lease.use(lambda: until_then)
    async with opened(configured) as broker:
        async with working(configured, broker, session, lease, report, tmp_path) as estate:
            await until(lambda: len(far_side.got) == 2)
            await clock.advance(6)
            answered.set()
            await until(lambda: "did not hear of its group" in (estate.fault() or ""))
        written = [record.key async for record in broker.read(LEDGER)]
    assert len(far_side.got) == 2
    assert written == []
    assert _pulls(metrics) == []
    assert told.calls == []


def _pulls(metrics: Metrics) -> list[Any]:
    return [sample for family in metrics.export_pulls_total.collect() for sample in family.samples]
