"""What operators see of a permanent fault: a reason in the status, in the log and in the metric, and no key in any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import generate_latest
from structlog.testing import LogCapture

from tests.scheduler.world import a_world, reports

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.process import Process

KEY = "pm_demo"


def _refused(process: Process, export: str) -> float | None:
    labels = {"source": "profitmetrics", "export": export, "result": "refused"}
    return process.metrics.registry.get_sample_value("sluice_export_pulls_total", labels)


async def test_a_bad_key_stops_all_of_the_account_and_each_says_so(tmp_path: Path) -> None:
    names = ("daily", "other", "flat")
    flat = reports("flat", dataset="export", query={"csids": [10000394]})
    flat.query.pop("sites")
    logged = LogCapture()
    async with a_world(tmp_path, reports(), reports("other"), flat) as world:
        await world.vendor(revoked_keys=[KEY])
        async with world.scheduling(logged) as process:
            stopped = [await world.until(lambda state: state.status == "stopped", name) for name in names]
        exposed = generate_latest(process.metrics.registry).decode()
    reason = "the key is missing, invalid or lacks the scope METRICS_READ (401)"
    assert [state.reason for state in stopped] == [reason] * 3
    told = {entry["export"]: entry for entry in logged.entries if entry["event"] == "pull"}
    assert {(name, entry["result"], entry["log_level"], entry["reason"]) for name, entry in told.items()} == {
        (name, "refused", "error", reason) for name in names
    }
    assert [_refused(process, name) for name in names] == [1, 1, 1]
    (answer,) = [entry for entry in logged.entries if entry["event"] == "vendor refused"]
    assert (answer["status"], answer["answer"]) == (
        401,
        '{"success":false,"errorCode":null,"errorDetails":null}',
    )
    assert KEY not in str(logged.entries) + exposed + str(stopped)


async def test_settings_that_are_missing_at_the_vendor_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    lacking = reports("lacking", query={"metrics": ["TURNOVER", "EXPENSES_FIXED"]})
    logged = LogCapture()
    async with a_world(tmp_path, reports(), lacking) as world:
        await world.vendor(sites={"10000394": {"missing_settings": ["EXPENSES_FIXED"]}})
        async with world.scheduling(logged) as process:
            stopped = await world.until(lambda state: state.status == "stopped", "lacking")
            await world.until(lambda state: state.succeeded)
    reason = "settings are missing at the vendor for EXPENSES_FIXED at 10000394 (MISSING_SETTING_FOR_SELECTED_METRIC)"
    assert stopped.reason == reason
    assert [entry["reason"] for entry in logged.entries if entry.get("result") == "refused"] == [reason]
    assert [_refused(process, name) for name in ("daily", "lacking")] == [0, 1]
    answers = [entry["answer"] for entry in logged.entries if entry["event"] == "vendor refused"]
    assert answers
    assert all('"errorDetails":{"EXPENSES_FIXED":[10000394]}' in answer for answer in answers)
