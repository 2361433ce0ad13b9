"""What comes out of an export: every row once, restated rows once more, vanished ones as tombstones, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from schemas.commands import Backfill, ExportCommand
from tests.scheduler.world import a_world, reports

if TYPE_CHECKING:
    from pathlib import Path

COPENHAGEN = ZoneInfo("Europe/Copenhagen")


def _day(days_ago: int) -> str:
    return (datetime.now(COPENHAGEN).date() - timedelta(days=days_ago)).isoformat()


def _of_day(records: list[tuple[Any, Any]], day: str) -> list[tuple[Any, Any]]:
    start = datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=COPENHAGEN).astimezone(UTC)
    return [(key, row) for key, row in records if key[1] == start.strftime("%Y-%m-%dT%H:%M:%SZ")]


async def test_history_is_pulled_once_and_an_unchanged_pull_publishes_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path, reports(since=_day(20))) as world, world.scheduling():
        await world.until(lambda state: state.succeeded and len(state.covered) == 1 and state.rows >= 21)
        await world.pulled_anew()
        records = await world.records()
        over = [(key, row) for key, row in records if not row["provisional"]]
        assert len({tuple(map(str, key)) for key, _ in over}) == len(over) == 20
        assert {row["revision"] for _, row in over} == {1}
        assert _of_day(records, _day(20))
        (_, row) = _of_day(records, _day(2))[0]
        assert row["export"] == "daily"
        assert row["bucket_start"].startswith(f"{_day(2)}T00:00:00+0")
        assert row["metrics"]["TURNOVER"] > 0
        assert row["currency"] == "EUR"


async def test_a_restated_bucket_gives_one_row_a_vanished_one_a_tombstone_and_revisions_count_on(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, reports()) as world, world.scheduling():
        await world.pulled_anew()
        day = {"site": 10000394, "from": _instant(_day(2)), "to": _instant(_day(1))}
        await world.vendor(restatements=[{**day, "factor": 2}])
        await world.pulled_anew()
        restated = _of_day(await world.records(), _day(2))
        assert [row["revision"] for _, row in restated] == [1, 2]
        await world.vendor(vanished=[day])
        await world.pulled_anew()
        vanished = _of_day(await world.records(), _day(2))
        assert [row and row["revision"] for _, row in vanished] == [1, 2, None]
        await world.vendor()
        await world.pulled_anew()
        returned = _of_day(await world.records(), _day(2))
        assert [row and row["revision"] for _, row in returned] == [1, 2, None, 4]


async def test_a_new_owner_goes_on_where_the_old_one_ended(tmp_path: Path) -> None:
    async with a_world(tmp_path, reports(since=_day(10))) as world:
        async with world.scheduling():
            await world.until(lambda state: state.rows >= 11 and len(state.covered) == 1)
        before = await world.records()
        async with world.scheduling():
            await world.pulled_anew()
        after = (await world.records())[len(before) :]
        assert all(row["provisional"] for _, row in after)


async def test_most_rows_vanish_only_when_a_second_answer_says_so(tmp_path: Path) -> None:
    async with a_world(tmp_path, reports()) as world, world.scheduling():
        await world.pulled_anew()
        whole = {"site": 10000394, "from": _instant(_day(9)), "to": _instant(_day(0))}
        await world.vendor(vanished=[whole])
        held = await world.pulled_anew()
        assert held.held is not None
        assert "held back" in held.reason
        assert all(row is not None for _, row in await world.records())
        assert (await world.pulled_anew()).held is None
        gone = [key for key, row in await world.records() if row is None]
        assert len(gone) == 3


async def test_a_refused_export_stops_and_the_others_go_on(tmp_path: Path) -> None:
    refused = reports("refused", query={"sites": [10000816]})
    async with a_world(tmp_path, reports(), refused) as world:
        await world.vendor(forbidden_sites={"pm_demo": [10000816]})
        async with world.scheduling():
            stopped = await world.until(lambda state: state.status == "stopped", "refused")
            assert "10000816" in stopped.reason or "NO_ACCESS_TO_SITES" in stopped.reason
            asked = (await world.requests())["requests"]
            await world.pulled_anew()
            assert (await world.state("refused")) == stopped
            assert (await world.requests())["requests"] - asked <= 6
            await world.vendor()
            await world.command("refused", ExportCommand(resume="1"))
            await world.until(lambda state: state.status == "active" and state.succeeded, "refused")


async def test_faults_that_pass_are_retried(tmp_path: Path) -> None:
    async with a_world(tmp_path, reports()) as world:
        await world.faults({"effect": "status", "appspace": "profitmetrics", "status": 599, "times": 1})
        async with world.scheduling():
            failed = await world.until(lambda state: state.failures)
            assert "599" in failed.reason or "TIMEOUT" in failed.reason
            state = await world.until(lambda state: state.succeeded)
            assert (state.failures, state.reason) == (0, "")


async def test_the_command_line_steers(tmp_path: Path) -> None:
    async with a_world(tmp_path, reports()) as world, world.scheduling():
        first = await world.until(lambda state: state.succeeded)
        await world.command("daily", ExportCommand(run="now"))
        await world.until(lambda state: state.run == "now" and state.succeeded > first.succeeded)
        await world.command("daily", ExportCommand(run="now", state="paused"))
        await world.until(lambda state: state.status == "paused")
        backfill = Backfill(id="b1", start=_day(40), end=_day(30))
        await world.command("daily", ExportCommand(run="now", state="active", backfills=[backfill]))
        await world.until(lambda state: state.backfills == ["b1"] and not state.tasks)
        assert _of_day(await world.records(), _day(35))


def _instant(day: str) -> str:
    return (
        datetime.fromisoformat(f"{day}T00:00:00")
        .replace(tzinfo=COPENHAGEN)
        .astimezone(UTC)
        .isoformat()
        .replace("+00:00", "Z")
    )
