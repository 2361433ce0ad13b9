"""Metrics that the built-in catalogue lacks: doubted at the start, decided by the vendor's live one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structlog.testing import LogCapture

from tests.scheduler.world import a_world, reports

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_start_warns_of_metrics_and_the_live_catalogue_decides(tmp_path: Path) -> None:
    new = reports("new", query={"metrics": ["TURNOVER", "BRAND_NEW"]})
    misspelt = reports("misspelt", query={"metrics": ["TURNOVR"]})
    logged = LogCapture()
    async with a_world(tmp_path, reports(), new, misspelt) as world:
        await world.vendor(labels={"BRAND_NEW": "Brand new"})
        async with world.scheduling(logged):
            await world.until(lambda state: state.succeeded, "new")
            stopped = await world.until(lambda state: state.status == "stopped", "misspelt")
            await world.until(lambda state: state.succeeded)
    warned = [entry for entry in logged.entries if entry["event"] == "configuration may be wrong"]
    assert [(entry["log_level"], entry["key"], entry["cure"]) for entry in warned] == [
        ("warning", "exports[1].query.metrics[1]", "the vendor's own catalogue decides when it is pulled"),
        ("warning", "exports[2].query.metrics[0]", "did you mean TURNOVER?"),
    ]
    assert stopped.reason == "the vendor has no metric TURNOVR (nearest: TURNOVER or TURNOVER_AVG)"
