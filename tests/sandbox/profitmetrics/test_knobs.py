"""What the vendor restates, loses and cuts short, on demand."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sandbox.profitmetrics.stand_in import PREFIX, ROOT
from sandbox.profitmetrics.switches import DEFAULT_SITES
from tests.sandbox.profitmetrics.asking import EUROS, KEY, KRONER, V2, Asking, at

WEEK = ("2026-06-08T00:00:00", "2026-06-15T00:00:00")
THURSDAY = {"from": at(2026, 6, 10, 22), "to": at(2026, 6, 11, 22)}  # 11 June in Copenhagen


async def test_a_restated_day(vendor: Asking) -> None:
    before = await vendor.numbers("GOOGLE_IMPRESSIONS", *WEEK)
    (total,) = await vendor.numbers("GOOGLE_IMPRESSIONS", *WEEK, resolution="TOTAL")
    await vendor.set(restatements=[{"site": EUROS, **THURSDAY, "factor": 2}])
    after = await vendor.numbers("GOOGLE_IMPRESSIONS", *WEEK)
    assert after == [*before[:3], 2 * before[3], *before[4:]]
    assert await vendor.numbers("GOOGLE_IMPRESSIONS", *WEEK, resolution="TOTAL") == [total + before[3]]
    await vendor.set(restatements=[{**THURSDAY, "factor": 2}, {**THURSDAY, "factor": 0.5}])
    assert await vendor.numbers("GOOGLE_IMPRESSIONS", *WEEK) == before
    await vendor.set(restatements=[{"site": KRONER, **THURSDAY, "factor": 2}])
    assert await vendor.numbers("GOOGLE_IMPRESSIONS", *WEEK) == before


async def test_another_epoch_restates_all(vendor: Asking) -> None:
    before = await vendor.numbers("TURNOVER", *WEEK)
    await vendor.set(epoch=1)
    after = await vendor.numbers("TURNOVER", *WEEK)
    assert all(old != new for old, new in zip(before, after, strict=True))
    await vendor.request("DELETE", f"{vendor.control_url}{PREFIX}/switches")
    assert await vendor.numbers("TURNOVER", *WEEK) == before


async def test_what_vanished(vendor: Asking) -> None:
    metrics = ["TURNOVER", "NUMBER_OF_ORDERS"]
    await vendor.set(vanished=[THURSDAY])
    days = [bucket["timestamp"][:10] for bucket in await vendor.report(metrics, *WEEK)]
    assert days == [f"2026-06-{day:02}" for day in (8, 9, 10, 12, 13, 14)]
    await vendor.set(vanished=[{**THURSDAY, "metrics": ["TURNOVER"]}])
    lists = [list(bucket["data"]) for bucket in await vendor.report(metrics, *WEEK)]
    assert lists == [metrics] * 3 + [["NUMBER_OF_ORDERS"]] + [metrics] * 3
    await vendor.set(vanished=[{**THURSDAY, "site": KRONER}])
    assert len(await vendor.report(metrics, *WEEK)) == 7
    assert len(await vendor.report(metrics, *WEEK, sites=[EUROS, KRONER])) == 6


async def test_an_answer_that_ends_early(vendor: Asking) -> None:
    await vendor.set(truncate_buckets=2)
    assert len(await vendor.report(["TURNOVER"], *WEEK)) == 2
    assert len(await vendor.export(["TURNOVER"], lookbackWindow=20)) == 2
    await vendor.set(cut_bytes=100)
    answer = await vendor.session.post(
        f"{vendor.url}{PREFIX}{ROOT}/{V2}",
        json={"csids": [EUROS], "resolution": "DAY"},
        headers={"X-ProfitMetrics-Action-KEY": KEY},
    )
    content = await answer.read()
    assert (answer.status, len(content)) == (200, 100)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(content)


async def test_weeks_may_begin_on_sunday(vendor: Asking) -> None:
    for day, first in (("monday", "2026-06-08"), ("sunday", "2026-06-07")):
        await vendor.set(week_starts=day)
        buckets = await vendor.export(["TURNOVER"], resolution="WEEK", lookbackWindow=9)
        assert buckets[0]["timestamp"] == first


async def test_sites_are_a_knob(vendor: Asking) -> None:
    await vendor.set(sites={"7": {"currency": "USD", "first_order": at(2026, 6, 12, 10, 30), "orders_per_hour": 50}})
    assert (await vendor.ask(V2, {"csids": [EUROS], "resolution": "DAY"})).status == 400
    buckets = await vendor.export(["NUMBER_OF_ORDERS"], csids=[7])
    assert buckets[0]["timestamp"] == "2026-06-12"
    assert 500 < buckets[1]["metrics"]["Orders"] < 2500


async def test_the_switches_can_be_read_and_set_again(vendor: Asking) -> None:
    shown = (await vendor.request("GET", f"{vendor.control_url}{PREFIX}/switches")).body
    assert shown["sites"].keys() == {str(number) for number in DEFAULT_SITES}
    await vendor.set(**shown)
    assert (await vendor.request("GET", f"{vendor.control_url}{PREFIX}/switches")).body == shown


@pytest.mark.parametrize(
    "wrong",
    [
        {"site": {}},
        {"week_starts": "Monday"},
        {"concurrency": 0},
        {"sites": {EUROS: {"currency": "XXX"}}},
        {"sites": {EUROS: {"channels": {"Yahoo": "configured"}}}},
        {"sites": {EUROS: {"missing_settings": ["REVENUE"]}}},
        {"sites": {EUROS: {"first_order": "2026-01-01T00:00:00"}}},
        {"withdrawn_metrics": ["REVENUE"]},
        {"vanished": [{**THURSDAY, "metrics": ["REVENUE"]}]},
        {"restatements": [{**THURSDAY, "factor": -1}]},
    ],
)
async def test_wrong_switches_are_refused(vendor: Asking, wrong: dict[str, Any]) -> None:
    answer = await vendor.put(wrong)
    assert answer.status == 400
    assert answer.body["error"]


async def test_a_large_answer_comes_in_pieces(vendor: Asking) -> None:
    url, headers = f"{vendor.url}{PREFIX}{ROOT}/{V2}", {"X-ProfitMetrics-Action-KEY": KEY}
    body = {"csids": [EUROS], "resolution": "HOUR"}
    read = 0
    async with vendor.session.post(url, json=body, headers=headers) as answer:
        async for piece in answer.content.iter_any():
            read += len(piece)
            if read > 1_000_000:
                break  # 100 MB would follow
        asked = await vendor.asked()
    assert (answer.status, asked["at_once"]) == (200, 1)
