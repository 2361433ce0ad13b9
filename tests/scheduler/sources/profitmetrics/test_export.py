"""`export/v2` against the stand-in: past windows by days back from today, labels as enum names again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from runtime.spans import Lookback
from scheduler.errors import ExportRefused, Retryable
from scheduler.sources.profitmetrics.endpoints import EXPORT_PATH
from schemas.profitmetrics import METRICS
from tests.sandbox.profitmetrics.asking import EUROS, KEY, KRONER, NOW, at
from tests.scheduler.sources.profitmetrics.world import COPENHAGEN, NEW_YORK, World, ask, export, world

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from runtime.settings import ExportSettings

ALL = Lookback("all")


def simple(metrics: list[str] | None = None, **more: Any) -> ExportSettings:
    return export(metrics, dataset="export", **more)


async def asked_days_back(profit: World) -> list[int | None]:
    return [request["body"].get("lookbackWindow") for request in await profit.requests()]


@pytest.mark.parametrize("resolution", ["HOUR", "DAY", "WEEK", "MONTH"])
async def test_a_past_window_is_what_a_report_of_it_is(profit: World, resolution: str) -> None:
    start, end = ("2026-05-01", "2026-06-01") if resolution == "MONTH" else ("2026-06-08", "2026-06-15")
    metrics = ["TURNOVER", "NUMBER_OF_ORDERS", "BLENDED_ROAS"]
    pulled = await profit.one(simple(metrics, resolution=resolution), start, end)
    told = await profit.one(export(metrics, resolution=resolution), start, end)
    assert len(told.rows.found) == {"HOUR": 168, "DAY": 7, "WEEK": 1, "MONTH": 1}[resolution]
    assert pulled.rows.by_key == told.rows.by_key
    assert (pulled.answer.whole, pulled.answer.currency) == (True, "EUR")


async def test_the_window_reaches_back_to_its_start_and_a_day_more(profit: World) -> None:
    await profit.one(simple(["TURNOVER"]), "2026-06-15", "2026-06-18")
    await profit.one(simple(["TURNOVER"]), "2026-06-17", "2026-06-18")
    assert await asked_days_back(profit) == [3, 1]


async def test_midnight_may_pass_before_the_vendor_is_asked() -> None:
    async with world(now=NOW + timedelta(days=1)) as late:
        pulled = await late.one(simple(["TURNOVER"]), "2026-06-15", "2026-06-18", now=NOW)
        assert [text[:10] for text in pulled.rows.starts] == ["2026-06-15", "2026-06-16", "2026-06-17"]
        total = await late.one(simple(["TURNOVER"], resolution="TOTAL"), "2026-06-15", "2026-06-17T12:20", now=NOW)
        assert isinstance(total.error, Retryable)
        assert "since 2026-06-16 instead of 2026-06-15" in str(total.error)


async def test_total(profit: World) -> None:
    pulled = await profit.one(simple(["TURNOVER"], resolution="TOTAL"), "2026-06-15", "2026-06-17T12:20")
    (found,) = pulled.rows.found
    assert found.bucket is None
    days = await profit.one(simple(["TURNOVER"]))
    assert found.metrics["TURNOVER"] == pytest.approx(sum(days.rows.values("TURNOVER")))
    assert (await asked_days_back(profit))[0] == 2


@pytest.mark.parametrize(
    ("resolution", "start", "count"),
    [("TOTAL", "2026-04-15", 1), ("MONTH", "2026-04-01", 3), ("WEEK", "2026-04-13", 10)],
)
async def test_the_whole_life_of_a_shop(profit: World, resolution: str, start: str, count: int) -> None:
    await profit.vendor.set(sites={EUROS: {"first_order": at(2026, 4, 15, 13, 40)}})
    settings = simple(["NUMBER_OF_ORDERS"], resolution=resolution, lookback=ALL)
    assert (await profit.source.beginning(ask(settings))).isoformat() == "2026-04-15"
    pulled = await profit.one(settings, start, "2026-07-01")
    assert len(pulled.rows.found) == count
    assert pulled.rows.starts[:1] == ([] if resolution == "TOTAL" else [f"{start}T00:00:00+02:00"])
    assert await asked_days_back(profit) == [None, None]


async def test_the_beginning_of_several_sites_asked_one_by_one(profit: World) -> None:
    await profit.vendor.set(sites={EUROS: {"first_order": at(2026, 5, 9)}, KRONER: {"first_order": at(2026, 4, 1)}})
    split = simple(["TURNOVER"], csids=[EUROS, KRONER], split=["csids"], currency=None, lookback=ALL)
    first = replace(ask(split), query={**split.query, "csids": [EUROS]}, dimensions={"csids": EUROS})
    assert (await profit.source.beginning(first)).isoformat() == "2026-04-01"


async def test_every_metric_there_is(profit: World) -> None:
    pulled = await profit.one(simple(), "2026-06-16", "2026-06-17")
    (found,) = pulled.rows.found
    numeric = {name for name, metric in METRICS.items() if metric.kind == "number"}
    assert {*found.metrics, *found.unavailable} == numeric
    assert len(numeric) == 149
    assert not found.flags
    assert found.unavailable


CHANGES = [
    (COPENHAGEN, "2026-03-29", "2026-03-30", 23, set()),
    (COPENHAGEN, "2026-10-25", "2026-10-26", 25, {"02:00:00+02:00", "02:00:00+01:00"}),
    (NEW_YORK, "2026-03-08", "2026-03-09", 23, set()),
    (NEW_YORK, "2026-11-01", "2026-11-02", 25, {"01:00:00-04:00", "01:00:00-05:00"}),
]


@pytest.mark.parametrize(("zone", "start", "end", "hours", "twice"), CHANGES)
async def test_the_day_that_the_clocks_change(
    zone: ZoneInfo, start: str, end: str, hours: int, twice: set[str]
) -> None:
    now = datetime.fromisoformat(end).replace(tzinfo=UTC) + timedelta(days=1)
    async with world(now=now) as then:
        hourly = await then.one(simple(["TURNOVER"], resolution="HOUR", timezone=zone), start, end, now=now)
        assert len(hourly.rows.found) == hours
        assert twice <= {text.partition("T")[2] for text in hourly.rows.starts}
        daily = await then.one(simple(["TURNOVER"], timezone=zone), start, end, now=now)
        (day,) = daily.rows.found
        assert day.bucket is not None
        assert day.bucket.end.timestamp() - day.bucket.start.timestamp() == hours * 3600
        assert day.metrics["TURNOVER"] == pytest.approx(sum(hourly.rows.values("TURNOVER")))


async def test_not_available(profit: World) -> None:
    pulled = await profit.one(simple(["META_ROAS", "TURNOVER"], csids=[KRONER]), "2026-06-16", "2026-06-17")
    (found,) = pulled.rows.found
    assert found.unavailable == ["META_ROAS"]
    assert found.metrics.keys() == {"TURNOVER"}


async def test_labels_are_the_live_catalogues(profit: World) -> None:
    await profit.vendor.set(labels={"TURNOVER": "Sales", "BRAND_NEW": "Revenue"})
    pulled = await profit.one(simple(["TURNOVER", "BRAND_NEW"]), "2026-06-16", "2026-06-17")
    assert pulled.rows.found[0].metrics.keys() == {"TURNOVER", "BRAND_NEW"}
    told = await profit.vendor.numbers("TURNOVER", "2026-06-16T00:00:00", "2026-06-17T00:00:00")
    assert pulled.rows.values("TURNOVER") == told


async def test_a_label_that_changed_since_the_catalogue_was_fetched(profit: World) -> None:
    await profit.one(simple(["TURNOVER"]))
    await profit.vendor.set(labels={"TURNOVER": "Sales of today"})
    pulled = await profit.one(simple(["TURNOVER"]), now=NOW + timedelta(minutes=5))
    assert all(found.metrics.keys() == {"TURNOVER"} and not found.flags for found in pulled.rows.found)
    assert len(await profit.requests()) == 3


async def test_a_label_that_no_catalogue_has_is_kept_and_flagged(profit: World) -> None:
    strange = {"timestamp": "2026-06-16", "metrics": {"Revenue": 12.5, "Warmth": 3, "Hue": "N/A"}}
    body = {"success": True, "data": {"data": [strange]}}
    await profit.vendor.fault({"effect": "status", "status": 200, "path": "*/export/v2", "body": body})
    (found,) = (await profit.one(simple(), "2026-06-16", "2026-06-17")).rows.found
    assert (found.metrics, found.unavailable, found.flags) == (
        {"TURNOVER": 12.5, "Warmth": 3},
        ["Hue"],
        ("unknown_label",),
    )
    assert type(found.metrics["Warmth"]) is int


async def test_a_currency_that_nobody_names_is_not_guessed(profit: World) -> None:
    pulled = await profit.one(simple(["TURNOVER"], currency=None))
    assert pulled.answer.currency is None


async def test_what_is_cut_off_silently_is_asked_for(profit: World) -> None:
    whole = await profit.one(simple(["TURNOVER"]), "2026-06-01", "2026-06-18")
    await profit.vendor.set(truncate_buckets=5)
    pulled = await profit.one(simple(["TURNOVER"]), "2026-06-01", "2026-06-18")
    assert pulled.rows.by_key == whole.rows.by_key
    await profit.vendor.set(truncate_buckets=5, sites={EUROS: {"first_order": at(2026, 5, 10)}})
    everything = await profit.one(simple(["TURNOVER"], lookback=ALL), "2026-05-10", "2026-06-18")
    assert len(everything.rows.found) == 39
    days_back = await asked_days_back(profit)
    assert days_back[days_back.index(None) + 1] == 34


async def test_several_sites_value_by_value(profit: World) -> None:
    split = simple(["TURNOVER"], csids=[EUROS, 4711], split=["csids"])
    good, wrong = await profit.pull(
        *(
            replace(ask(split, number=number, dimensions={"csids": site}), query={**split.query, "csids": [site]})
            for number, site in enumerate((EUROS, 4711))
        )
    )
    assert [found.dimensions for found in good.rows.found] == [{"csids": EUROS}] * 3
    assert isinstance(wrong.error, ExportRefused)
    assert "CUSTOMER_SITE_NOT_FOUND" in str(wrong.error)
    assert "4711" in str(wrong.error)


@pytest.mark.parametrize("body", [
    {"success": True, "data": {"data": None}},
    {"success": True, "data": None},
    {"success": True},
    {"data": {"data": []}},
    [],
    "<html>soon</html>",
    "",
    {"success": True, "data": {"data": [{"timestamp": "2026-06-16"}]}},
    {"success": True, "data": {"data": [{"timestamp": "yesterday", "metrics": {}}]}},
    {"success": True, "data": {"data": [{"timestamp": None, "metrics": {}}]}},
    {"success": True, "data": {"data": [{"timestamp": "2026-06-16", "metrics": {"Revenue": True}}]}},
    {"success": True, "data": {"data": [{"timestamp": "2026-06-16", "metrics": {"Revenue": "12"}}]}},
    {"success": True, "data": {"data": [{"timestamp": "2026-06-16", "metrics": {}}] * 2}},
    {"success": False, "errorCode": "DB_ERROR"},
    {"success": False, "errorCode": None},
])  # fmt: skip
async def test_what_is_no_answer_is_asked_for_again(profit: World, body: Any) -> None:
    await profit.vendor.fault({"effect": "status", "status": 200, "path": "*/export/v2", "body": body})
    pulled = await profit.one(simple(["TURNOVER"]))
    assert isinstance(pulled.error, Retryable)
    (entry,) = profit.logged.entries
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", EXPORT_PATH, 200)
    assert orjson.loads(entry["body"])["metrics"] == ["TURNOVER"]
    assert entry["answer"] == (body if isinstance(body, str) else orjson.dumps(body).decode())
    assert entry["reason"] == str(pulled.error)
    assert datetime.fromisoformat(entry["at"]).utcoffset() == timedelta(0)
    assert KEY not in str(entry)


async def test_a_refusal_with_status_200(profit: World) -> None:
    body = {"success": False, "errorCode": "CUSTOMER_SITE_NOT_FOUND", "errorDetails": {"csid": 4711}}
    await profit.vendor.fault({"effect": "status", "status": 200, "path": "*/export/v2", "body": body})
    pulled = await profit.one(simple(["TURNOVER"]))
    assert isinstance(pulled.error, ExportRefused)


async def test_the_vendor_away(profit: World) -> None:
    await profit.vendor.fault({"effect": "reset"})
    assert isinstance((await profit.one(simple(["TURNOVER"]))).error, Retryable)
    with pytest.raises(Retryable):
        await profit.one(export(["TURNOVER"]))
