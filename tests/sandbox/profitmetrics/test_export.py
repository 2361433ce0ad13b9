"""`export/v2` and the deprecated CSV: one flat series by labels."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.clock import ManualClock
from schemas.profitmetrics import METRICS as CATALOGUE
from tests.sandbox.profitmetrics.asking import CSV, EUROS, KRONER, METRICS, NOW, V2, Asking, asking, at


async def test_the_shape(vendor: Asking) -> None:
    asked = ["TURNOVER", "NUMBER_OF_ORDERS", "BLENDED_ROAS", "PINTEREST_ADSPEND", "TURNOVER"]
    buckets = await vendor.export(asked, lookbackWindow=1)
    assert [bucket["timestamp"] for bucket in buckets] == ["2026-06-16", "2026-06-17"]
    for bucket in buckets:
        metrics = bucket["metrics"]
        assert list(metrics) == ["Revenue", "Orders", "Blended ROAS (MER)", "Pinterest Ad spend (in-platform)"]
        assert isinstance(metrics["Revenue"], float)
        assert isinstance(metrics["Orders"], int)
        assert metrics["Pinterest Ad spend (in-platform)"] == "N/A"


@pytest.mark.parametrize("metrics", [None, []])
async def test_without_metrics_every_number_there_is(vendor: Asking, metrics: list[str] | None) -> None:
    (bucket,) = await vendor.export(metrics, resolution="TOTAL", lookbackWindow=2)
    numbers = [metric.label for metric in CATALOGUE.values() if metric.kind == "number"]
    assert (bucket["timestamp"], list(bucket["metrics"])) == ("2026-06-15", numbers)
    assert len(numbers) == 149


async def test_what_is_no_number_is_filtered_out(vendor: Asking) -> None:
    asked = ["ADSPEND_BY_CHANNEL", "GOOGLE_ADSPEND_TIMESTAMP", "TURNOVER"]
    (bucket,) = await vendor.export(asked, resolution="TOTAL", lookbackWindow=1)
    assert list(bucket["metrics"]) == ["Revenue"]


@pytest.mark.parametrize(
    ("resolution", "days", "timezone", "first", "last", "count"),
    [
        ("HOUR", 1, "Europe/Copenhagen", "2026-06-16T00:00", "2026-06-17T12:00", 37),
        ("HOUR", 1, "Asia/Kolkata", "2026-06-16T00:00", "2026-06-17T15:00", 40),
        ("DAY", 30, "Pacific/Auckland", "2026-05-18", "2026-06-17", 31),
        ("WEEK", 9, None, "2026-06-08", "2026-06-15", 2),
        ("MONTH", 40, "UTC", "2026-05-01", "2026-06-01", 2),
        ("TOTAL", 40, "UTC", "2026-05-08", "2026-05-08", 1),
    ],
)
async def test_the_window_ends_now(
    vendor: Asking, resolution: str, days: int, timezone: str | None, first: str, last: str, count: int
) -> None:
    buckets = await vendor.export(["TURNOVER"], resolution=resolution, lookbackWindow=days, timezone=timezone)
    stamps = [bucket["timestamp"] for bucket in buckets]
    assert (stamps[0], stamps[-1], len(stamps)) == (first, last, count)


@pytest.mark.parametrize("window", [{}, {"lookbackWindow": 0}, {"lookbackWindow": None}])
async def test_without_days_the_life_of_the_shops(vendor: Asking, window: dict[str, Any]) -> None:
    await vendor.set(sites={KRONER: {"first_order": at(2026, 5, 15, 13)}, EUROS: {"first_order": at(2026, 3, 1, 9)}})
    for sites, first in (([KRONER], "2026-05-15"), ([KRONER, EUROS], "2026-03-01")):
        buckets = await vendor.export(["TURNOVER"], csids=sites, resolution="DAY", currency="EUR", **window)
        assert buckets[0]["timestamp"] == first
        assert buckets[0]["metrics"]["Revenue"] > 0
        assert buckets[-1]["timestamp"] == "2026-06-17"


@pytest.mark.parametrize("first_order", [None, at(2027, 1, 1)])
@pytest.mark.parametrize("days", [0, 3])
async def test_a_shop_without_orders(vendor: Asking, first_order: str | None, days: int) -> None:
    await vendor.set(sites={EUROS: {"first_order": first_order}})
    assert await vendor.export(["TURNOVER"], lookbackWindow=days) == []


async def test_the_currency_of_a_single_site_is_its_own(vendor: Asking) -> None:
    own, kroner = [
        await vendor.export(["TURNOVER"], csids=[KRONER], lookbackWindow=2, **more)
        for more in ({}, {"currency": "DKK"})
    ]
    assert own == kroner
    assert await vendor.export(["TURNOVER"], csids=[KRONER], lookbackWindow=2, currency="EUR") != own


async def test_the_running_hour_grows() -> None:
    clock = ManualClock(NOW.timestamp())
    async with asking(clock) as vendor:
        seen = []
        for _ in range(3):
            buckets = await vendor.export(["GOOGLE_IMPRESSIONS"], resolution="HOUR", lookbackWindow=1)
            seen.append((len(buckets), buckets[36]["metrics"]["Google Ads Impressions (in-platform)"]))
            await clock.advance(1800)
        assert [count for count, _ in seen] == [37, 37, 38]
        values = [value for _, value in seen]
        assert 0 < values[0] < values[1] < values[2]


async def test_the_live_catalogue(vendor: Asking) -> None:
    listed = (await vendor.ask(METRICS, None)).body
    assert listed == [{"value": metric.name, "label": metric.label} for metric in CATALOGUE.values()]
    await vendor.set(
        metrics_envelope=True, withdrawn_metrics=["TURNOVER"], labels={"GROSS_PROFIT": "Profit", "BRAND_NEW": "New"}
    )
    body = (await vendor.ask(METRICS, None)).body
    assert body["success"] is True
    assert body["data"][-1] == {"value": "BRAND_NEW", "label": "New"}
    assert {"value": "GROSS_PROFIT", "label": "Profit"} in body["data"]
    assert len(body["data"]) == 151
    assert (await vendor.ask(V2, {"csids": [EUROS], "resolution": "DAY", "metrics": ["TURNOVER"]})).status == 400
    (bucket,) = await vendor.export(
        ["GROSS_PROFIT", "BRAND_NEW", "NUMBER_OF_ORDERS"], resolution="TOTAL", lookbackWindow=1
    )
    assert list(bucket["metrics"]) == ["Profit", "New", "Orders"]
    assert bucket["metrics"]["New"] == bucket["metrics"]["Orders"] > 0


async def test_the_csv_says_that_it_is_deprecated(vendor: Asking) -> None:
    body = {"csids": [EUROS], "resolution": "DAY", "lookbackWindow": 1, "metrics": ["TURNOVER", "PINTEREST_ADSPEND"]}
    answer = await vendor.ask(CSV, body)
    head, *lines = answer.body.decode().splitlines()
    assert head == "timestamp,Revenue,Pinterest Ad spend (in-platform)"
    flat = await vendor.export(["TURNOVER"], lookbackWindow=1)
    assert lines == [f"{bucket['timestamp']},{bucket['metrics']['Revenue']},N/A" for bucket in flat]
    assert (answer.headers["Deprecation"], answer.headers["Link"]) == ("true", '<v2>; rel="successor-version"')
    two = await vendor.ask(CSV, {**body, "csids": [EUROS, KRONER], "currency": "EUR"})
    assert (two.status, two.body["errorCode"]) == (400, "VALIDATION_ERROR")
