"""Vendors that are away, refuse for good, or give an account nothing for now: what is asked meanwhile, and what stands afterwards."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from scheduler.backoffs import LONGEST_PROBE, LONGEST_RETRY, PROBE_SECONDS
from schemas.commands import ExportCommand
from tests.scheduler.hours import HOUR, MINUTE, hours
from tests.scheduler.world import reports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

AWAY = {"effect": "reset", "appspace": "profitmetrics"}
FAILING = {"effect": "status", "appspace": "profitmetrics", "status": 503}
UNPAID = {"effect": "status", "appspace": "profitmetrics", "status": 402}
RESTARTS = 4
DAYS = 60


def most_in_a_minute(asked: Sequence[float]) -> int:
    return max(sum(begin <= moment < begin + MINUTE for moment in asked) for begin in asked)


@pytest.mark.parametrize("fault", [AWAY, FAILING])
async def test_an_hour_without_the_vendor_costs_little_and_leaves_no_gap(
    tmp_path: Path, fault: Mapping[str, Any]
) -> None:
    export = reports(every="15m", since="2026-09-19")
    async with hours(tmp_path, export, requests_per_minute=2) as world, world.owner(tmp_path):
        await world.clock.go_on(MINUTE)  # the catalogue and the regular pull: history is still to come
        before, rows = await world.export(), await world.rows()
        assert (len(world.asked), len(rows), before.failures) == (2, 4, 0)
        await world.faults(fault)
        world.asked.clear()
        await world.clock.go_on(HOUR)
        during, asked = await world.export(), list(world.asked)
        assert during.reason
        assert during.covered == before.covered
        assert await world.rows() == rows
        assert during.failures <= len(asked) < 40
        assert most_in_a_minute(asked) <= 2
        waits = [after - moment for moment, after in pairwise(asked)]
        assert sum(waits[-4:]) > 5 * sum(waits[:4])
        await world.faults()
        await world.clock.go_on(LONGEST_RETRY + 5 * MINUTE)
        afterwards = await world.export()
        assert (afterwards.failures, afterwards.reason) == (0, "")
        assert afterwards.covered == [("2026-09-18T22:00:00Z", "2026-11-17T23:00:00Z")]
        over = [row for row in await world.rows() if not row["provisional"]]
        assert {row["revision"] for row in over} == {1}
        assert len({row["bucket_start"] for row in over}) == len(over) == DAYS
        assert most_in_a_minute(world.asked) <= 2


async def test_who_takes_over_while_the_vendor_is_away_does_not_ask_sooner(tmp_path: Path) -> None:
    async with hours(tmp_path, reports(every="15m", since="2026-09-19")) as world:
        async with world.owner(tmp_path):
            await world.clock.go_on(0.02)
            await world.faults(FAILING)
            await world.clock.go_on(HOUR)
        failed, asked = await world.export(), len(world.asked)
        assert failed.failures > 5
        for _ in range(RESTARTS):
            async with world.owner(tmp_path):
                await world.clock.go_on(1)
        assert len(world.asked) == asked
        assert await world.export() == failed


@pytest.mark.parametrize(
    ("switches", "reason"),
    [
        ({"revoked_keys": ["pm_demo"]}, "the key is missing, invalid"),
        ({"withdrawn_metrics": ["TURNOVER"]}, "the vendor has no metric TURNOVER"),
        ({"forbidden_sites": {"pm_demo": [10000394]}}, "10000394"),
    ],
)
async def test_a_permanent_fault_is_met_once_whatever_takes_over(
    tmp_path: Path, switches: Mapping[str, Any], reason: str
) -> None:
    async with hours(tmp_path, reports(every="15m")) as world:
        await world.vendor(**switches)
        async with world.owner(tmp_path):
            await world.clock.go_on(HOUR)
        stopped, asked = await world.export(), len(world.asked)
        assert stopped.status == "stopped"
        assert reason in stopped.reason
        assert asked <= 3
        for _ in range(RESTARTS):
            async with world.owner(tmp_path):
                await world.clock.go_on(6 * HOUR)
        assert len(world.asked) == asked
        assert await world.export() == stopped
        async with world.owner(tmp_path) as estate:
            await world.clock.go_on(1)
            await estate.heard("daily", ExportCommand(resume="once more"))
            await world.clock.go_on(HOUR)
            assert (await world.export()).status == "stopped"
            assert len(world.asked) <= 2 * asked
            await world.vendor()
            await estate.heard("daily", ExportCommand(resume="mended"))
            await world.clock.go_on(HOUR)
            mended = await world.export()
            assert (mended.status, mended.reason, mended.failures) == ("active", "", 0)
            assert len(await world.rows()) >= 4


async def test_a_parked_account_is_probed_ever_more_seldom_and_all_its_exports_go_on_afterwards(tmp_path: Path) -> None:
    exports = [reports(name, every="15m") for name in ("daily", "other")]
    async with hours(tmp_path, *exports) as world:
        await world.faults(UNPAID)
        for _ in range(RESTARTS):
            async with world.owner(tmp_path):
                await world.clock.go_on(6 * HOUR)
        parked = await world.account()
        assert (parked.parked, parked.probes) == ("plan", len(world.asked))
        assert "paid" in parked.reason
        waits = [after - moment for moment, after in pairwise(world.asked)]
        for probes, wait in enumerate(waits, 1):
            longest = min(PROBE_SECONDS * 2.0 ** (probes - 1), LONGEST_PROBE)
            assert longest / 2 <= wait <= longest + 2
        assert sum(wait > HOUR / 2 for wait in waits) > 20
        assert await world.rows() == []
        await world.faults()
        async with world.owner(tmp_path):
            await world.clock.go_on(2 * HOUR)
        assert (await world.account()).parked == ""
        for export in exports:
            state = await world.export(export.name)
            assert (state.status, state.reason, state.failures) == ("active", "", 0)
            assert state.succeeded


async def test_a_month_that_is_used_up_costs_no_request_until_the_next(tmp_path: Path) -> None:
    async with hours(tmp_path, reports(every="15m"), requests_per_month=4) as world:
        async with world.owner(tmp_path):
            await world.clock.go_on(2 * HOUR)
        parked = await world.account()
        assert (parked.parked, parked.requests, len(world.asked)) == ("quota", 4, 4)
        async with world.owner(tmp_path):
            await world.clock.go_on(24 * HOUR)
        assert len(world.asked) == 4
        assert (await world.export()).status == "active"
