"""The three datasets through the whole scheduler: from the stand-in's answers to records on the topics (RECORDS §2)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from schemas.topics import metrics_topic
from tests.scheduler.world import World, a_world, reports

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.settings import ExportSettings

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
EUROS, KRONER = 10000394, 10000816


def flat(name: str) -> ExportSettings:
    settings = reports(name, dataset="export", query={"csids": [EUROS], "metrics": ["TURNOVER", "META_ROAS"]})
    settings.query.pop("sites")
    return settings


def catalogue(name: str) -> ExportSettings:
    settings = reports(name, dataset="metrics")
    settings.query.clear()
    return settings


async def rows(world: World, dataset: str, export: str) -> list[tuple[Any, Any]]:
    return [(key, row) for key, row in await world.records(metrics_topic("profitmetrics", dataset)) if key[0] == export]


def whole(records: list[tuple[Any, Any]]) -> list[Any]:
    return [row for _, row in records if not row["provisional"]]


async def test_reports_with_a_comparison_channels_and_times_site_by_site(tmp_path: Path) -> None:
    metrics = ["TURNOVER", "META_ROAS", "ADSPEND_BY_CHANNEL", "GOOGLE_ADSPEND_TIMESTAMP"]
    export = reports(compare="7d", split=["sites"], query={"sites": [EUROS, KRONER], "metrics": metrics})
    async with a_world(tmp_path, export) as world:
        async with world.scheduling():
            await world.until(lambda state: state.due)
        found = whole(await rows(world, "reports", "daily"))
    by_dimensions: dict[tuple[Any, ...], list[Any]] = {}
    for row in found:
        by_dimensions.setdefault(tuple(sorted(row["dimensions"].items())), []).append(row)
        assert (row["currency"], row["timezone"], row["resolution"]) == ("EUR", "Europe/Copenhagen", "DAY")
        day, earlier = (datetime.fromisoformat(row[name]) for name in ("bucket_start", "compare_start"))
        assert day.date() - earlier.date() == timedelta(days=7)
    own = by_dimensions[("sites", EUROS),][0]
    parts = {"TURNOVER", "TURNOVER.compareValue", "TURNOVER.valueDiff", "TURNOVER.percentageDiff"}
    assert parts | {"META_ROAS"} <= own["metrics"].keys()
    assert own["unavailable"] == []
    time = datetime.fromisoformat(own["attributes"]["GOOGLE_ADSPEND_TIMESTAMP"])
    assert time.utcoffset() == datetime.fromisoformat(own["bucket_start"]).utcoffset()
    lacking = by_dimensions[("sites", KRONER),][0]
    assert "META_ROAS" in lacking["unavailable"]
    assert "META_ROAS" not in lacking["metrics"]
    channels = {dict(key)["channel"] for key in by_dimensions if ("sites", EUROS) in key and len(key) > 1}
    assert channels == {"Google", "Meta", "Bing"}


async def test_the_flat_series_says_what_the_reports_say(tmp_path: Path) -> None:
    same = reports(query={"metrics": ["TURNOVER", "META_ROAS"]})
    async with a_world(tmp_path, same, flat("flat")) as world:
        async with world.scheduling():
            for name in ("daily", "flat"):
                await world.until(lambda state: state.due, name)
        told = [whole(await rows(world, *each)) for each in (("reports", "daily"), ("export", "flat"))]
    said = [
        sorted((row["bucket_start"], row["bucket_end"], *sorted(row["metrics"].items())) for row in each)
        for each in told
    ]
    assert said[0] == said[1]
    assert len(said[0]) == 3


async def test_a_metric_that_the_vendor_withdraws_is_a_tombstone_and_a_new_label_one_row(tmp_path: Path) -> None:
    async with a_world(tmp_path, catalogue("known")) as world, world.scheduling():
        await world.until(lambda state: state.due, "known")
        before = await rows(world, "metrics", "known")
        assert len(before) == 151
        assert all((row["resolution"], row["bucket_start"], row["metrics"]) == ("NONE", None, {}) for _, row in before)
        await world.vendor(withdrawn_metrics=["N_CAC"], labels={"TURNOVER": "Turnover"})
        await world.pulled_anew("known")
        changed = (await rows(world, "metrics", "known"))[151:]
    told = {key[2]["value"]: row and (row["attributes"], row["revision"]) for key, row in changed}
    assert told == {"N_CAC": None, "TURNOVER": ({"label": "Turnover"}, 2)}
    assert all(key[:2] == ["known", None] for key, _ in changed)
    assert len(changed) == 2
