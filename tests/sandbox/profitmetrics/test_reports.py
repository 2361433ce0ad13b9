"""`data/reports`: values by enum names, comparisons, channels, timestamps."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.profitmetrics.asking import EUROS, KEY, REPORTS, V2, Asking, report

DAYS = ("2026-06-15T00:00:00", "2026-06-17T00:00:00")
EARLIER = {"fromIncl": "2026-06-08T00:00:00", "toExcl": "2026-06-10T00:00:00"}


async def test_the_shape(vendor: Asking) -> None:
    first, second = await vendor.report(["TURNOVER", "PINTEREST_ADSPEND"], *DAYS)
    assert (first["timestamp"], first["compareTimestamp"]) == ("2026-06-15T00:00:00", None)
    assert second["timestamp"] == "2026-06-16T00:00:00"
    number = first["data"]["TURNOVER"]["value"]
    assert number["value"] > 0
    assert {key: value for key, value in number.items() if key != "value"} == dict.fromkeys(
        ("compareValue", "valueDiff", "percentageDiff")
    )
    assert first["data"]["PINTEREST_ADSPEND"] == {"value": "N/A"}


async def test_reports_are_told_apart_by_their_ids(vendor: Asking) -> None:
    body = {
        "reports": [
            {**report(["TURNOVER"], *DAYS), "id": "daily"},
            {**report(["NUMBER_OF_ORDERS"], *DAYS, resolution="TOTAL"), "id": "ordres æøå"},
        ]
    }
    answer = (await vendor.ask(REPORTS, body)).body
    assert answer["success"] is True
    assert answer["data"]["chartReports"] == []
    shapes = [(part["id"], [list(bucket["data"]) for bucket in part["metrics"]]) for part in answer["data"]["reports"]]
    assert shapes == [("daily", [["TURNOVER"], ["TURNOVER"]]), ("ordres æøå", [["NUMBER_OF_ORDERS"]])]


@pytest.mark.parametrize("body", [{"reports": []}, {"chartReports": []}, {"chartReports": [{"any": "thing"}]}])
async def test_no_reports_but_asked_for_them(vendor: Asking, body: dict[str, Any]) -> None:
    assert (await vendor.ask(REPORTS, body)).body == {"success": True, "data": {"reports": [], "chartReports": []}}


async def test_a_comparison(vendor: Asking) -> None:
    metrics = ["TURNOVER", "BLENDED_ROAS"]
    compared = await vendor.report(metrics, *DAYS, comparePeriod=EARLIER)
    plain = await vendor.report(metrics, EARLIER["fromIncl"], EARLIER["toExcl"])
    assert [bucket["compareTimestamp"] for bucket in compared] == [bucket["timestamp"] for bucket in plain]
    for bucket, earlier in zip(compared, plain, strict=True):
        for metric in metrics:
            number = bucket["data"][metric]["value"]
            assert number["compareValue"] == earlier["data"][metric]["value"]["value"]
            assert number["valueDiff"] == pytest.approx(number["value"] - number["compareValue"], abs=1e-9)
            percentage = 100 * (number["value"] - number["compareValue"]) / number["compareValue"]
            assert number["percentageDiff"] == pytest.approx(percentage, abs=0.0051)


async def test_a_shorter_comparison_leaves_the_last_buckets_alone(vendor: Asking) -> None:
    earlier = {"fromIncl": "2026-06-08T00:00:00", "toExcl": "2026-06-09T00:00:00"}
    buckets = await vendor.report(["TURNOVER"], *DAYS, comparePeriod=earlier)
    assert [bucket["compareTimestamp"] for bucket in buckets] == ["2026-06-08T00:00:00", None]
    assert buckets[1]["data"]["TURNOVER"]["value"]["compareValue"] is None


@pytest.mark.parametrize(("knob", "expected"), [("null", None), ("zero", 0), ("hundred", 100)])
async def test_a_comparison_with_nothing(vendor: Asking, knob: str, expected: float | None) -> None:
    await vendor.set(percentage_of_zero=knob)
    before = {"fromIncl": "2020-01-01T00:00:00", "toExcl": "2020-01-03T00:00:00"}
    for bucket in await vendor.report(["TURNOVER"], *DAYS, comparePeriod=before):
        number = bucket["data"]["TURNOVER"]["value"]
        assert (number["compareValue"], number["percentageDiff"]) == (0, expected)
        assert number["valueDiff"] == number["value"]


async def test_ad_spend_by_channel_adds_up(vendor: Asking) -> None:
    metrics = ["ADSPEND_BY_CHANNEL", "TOTAL_ADSPEND", "ADSPEND_MANUAL", "GOOGLE_ADSPEND"]
    for bucket in await vendor.report(metrics, *DAYS, comparePeriod=EARLIER):
        data = bucket["data"]
        channels = data["ADSPEND_BY_CHANNEL"]["value"]
        assert list(channels) == ["Google", "Meta", "Bing"]
        assert channels["Google"] == data["GOOGLE_ADSPEND"]["value"]
        for side in ("value", "compareValue"):
            spend = sum(channel[side] for channel in channels.values()) + data["ADSPEND_MANUAL"]["value"][side]
            assert spend == pytest.approx(data["TOTAL_ADSPEND"]["value"][side], abs=1e-6)


async def test_the_timestamp_is_the_last_whole_hour(vendor: Asking) -> None:
    asked = (["GOOGLE_ADSPEND_TIMESTAMP"], "2026-06-16T00:00:00", "2026-06-19T00:00:00")
    for zone, expected in (
        ("Europe/Copenhagen", ["2026-06-16T23:00:00", "2026-06-17T11:00:00", None]),
        ("America/New_York", ["2026-06-16T23:00:00", "2026-06-17T05:00:00", None]),
    ):
        buckets = await vendor.report(*asked, timezone=zone)
        assert [bucket["data"]["GOOGLE_ADSPEND_TIMESTAMP"]["value"] for bucket in buckets] == expected


async def test_both_routes_agree(vendor: Asking) -> None:
    flat = await vendor.export(["TURNOVER", "N_CAC"], lookbackWindow=2)
    buckets = await vendor.report(["TURNOVER", "N_CAC"], "2026-06-15T00:00:00", "2026-06-18T00:00:00")
    assert [list(bucket["metrics"].values()) for bucket in flat] == [
        [value["value"]["value"] for value in bucket["data"].values()] for bucket in buckets
    ]


async def test_what_is_to_come_is_empty(vendor: Asking) -> None:
    future = ("2026-06-17T00:00:00", "2026-06-20T00:00:00")
    values = await vendor.numbers("TURNOVER", *future)
    assert (values[0] > 0, values[1:]) == (True, [0, 0])
    await vendor.set(empty_buckets=False)
    assert await vendor.numbers("TURNOVER", *future) == values[:1]
    assert await vendor.numbers("TURNOVER", "2024-02-28T00:00:00", "2024-03-02T00:00:00") != []
    assert await vendor.numbers("TURNOVER", "2023-01-01T00:00:00", "2023-01-05T00:00:00") == []


@pytest.mark.parametrize(
    ("knob", "value", "flat"), [("zero", {"value": 0}, 0), ("null", {"value": None}, None), ("N/A", "N/A", "N/A")]
)
async def test_a_ratio_without_a_divisor(vendor: Asking, knob: str, value: Any, flat: Any) -> None:
    site = {"orders_per_hour": 0, "channels": {"Google": "configured"}}
    await vendor.set(undefined_ratio=knob, sites={EUROS: site})
    (bucket,) = await vendor.report(["GOOGLE_ROAS"], *DAYS, resolution="TOTAL")
    found = bucket["data"]["GOOGLE_ROAS"]["value"]
    assert ({"value": found["value"]} if isinstance(found, dict) else found) == value
    answer = await vendor.ask(
        V2, {"csids": [EUROS], "resolution": "TOTAL", "lookbackWindow": 1, "metrics": ["GOOGLE_ROAS"]}, key=KEY
    )
    assert answer.body["data"]["data"][0]["metrics"] == {"Google Ads ROAS (in-platform)": flat}
