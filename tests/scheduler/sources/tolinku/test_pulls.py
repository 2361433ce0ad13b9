"""Exports through the whole scheduler: from events that arrived at the stand-in to records on the topics (RECORDS §2)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from scheduler.sources.tolinku.datasets import DATASETS
from schemas.commands import Backfill, ExportCommand
from tests.sandbox.running import purchase
from tests.scheduler.sources.tolinku.appspace import TODAY, an_appspace, export

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.ledger import ExportState

YESTERDAY = TODAY - timedelta(days=1)
SHIRT = {"item_id": "sku_1", "item_name": "T-Shirt", "price": 25}
EMAIL = {"campaign": "spring-sale", "source": "email", "medium": "newsletter"}
EVENTS = [
    {"event_type": "view_item", "user_id": "u1", "items": [SHIRT], **EMAIL, "platform": "ios"},
    {"event_type": "add_to_cart", "user_id": "u1", "items": [SHIRT], "platform": "ios"},
    purchase(
        "o1", 50, user_id="u1", coupon_code="SAVE10", discount=5, items=[{**SHIRT, "quantity": 2}], platform="ios"
    ),
    purchase("o2", 20, user_id="u2", items=[{"item_id": "sku_2", "price": 20}], platform="web", **EMAIL),
]
"""Those of one day: 70 of revenue in two orders."""

MODEL = {"model": "last_click", "window_days": 30}
STEPS = [("view_item", 1, 100), ("add_to_cart", 1, 100.0), ("view_cart", 0, 0.0), ("begin_checkout", 0, 0)]
STEPS += [("add_payment_info", 0, 0), ("purchase", 2, 0)]
EXPECTED: dict[str, list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]] = {
    "overview": [
        (
            {},
            {
                "total_revenue": 70.0,
                "net_revenue": 70.0,
                "total_orders": 2,
                "total_refunds": 0,
                "refund_amount": 0.0,
                "avg_order_value": 35.0,
                "total_items_sold": 3,
                "cart_abandonment_rate": 0.0,
                "add_to_cart_rate": 100.0,
            },
            {},
        )
    ],
    "revenue-timeseries": [({}, {"revenue": 70.0, "orders": 2}, {})],
    "funnel": [
        ({"name": name}, {"count": count, "percentage": percentage}, {"step": step})
        for step, (name, count, percentage) in enumerate(STEPS, 1)
    ],
    "top-products": [
        ({"item_id": "sku_1"}, {"revenue": 50.0, "quantity": 2, "orders": 1}, {"item_name": "T-Shirt"}),
        ({"item_id": "sku_2"}, {"revenue": 20.0, "quantity": 1, "orders": 1}, {"item_name": None}),
    ],
    "revenue-by-channel": [
        (dict.fromkeys(EMAIL, "(none)"), {"revenue": 50.0, "orders": 1, "conversion_rate": 100.0}, {}),
        (EMAIL, {"revenue": 20.0, "orders": 1, "conversion_rate": 50.0}, {}),
    ],
    "revenue-by-coupon": [({"coupon_code": "SAVE10"}, {"revenue": 50.0, "orders": 1, "avg_discount": 5.0}, {})],
    "revenue-by-device": [
        ({"device_type": "mobile"}, {"revenue": 50.0, "orders": 1}, {}),
        ({"device_type": "unknown"}, {"revenue": 20.0, "orders": 1}, {}),
    ],
    "revenue-by-platform": [
        ({"platform": "ios"}, {"revenue": 50.0, "orders": 1}, {}),
        ({"platform": "web"}, {"revenue": 20.0, "orders": 1}, {}),
    ],
    "revenue-by-country": [({"country": "unknown"}, {"revenue": 70.0, "orders": 2}, {})],
    "cart-abandonment": [
        (
            {},
            {"abandonment_rate": 0.0, "abandoned_carts": 0, "abandoned_revenue": 0.0, "completed_carts": 1},
            {},
        )
    ],
    "attribution": [
        ({}, {"unattributed.revenue": 20.0, "unattributed.orders": 1}, MODEL),
        (EMAIL, {"revenue": 50.0, "orders": 1, "pct_of_total": 71.4}, MODEL),
    ],
    "cohorts": [
        ({}, {"avg_ltv": 35.0, "total_purchasing_users": 2}, {}),
        ({"cohort": "2026-02"}, {"users": 2}, {}),
        ({"cohort": "2026-02", "month": 0}, {"revenue": 70.0}, {}),
    ],
}


def _of(records: list[tuple[Any, Any]], day: date) -> list[Any]:
    """Return the rows of a day's bucket, None for a tombstone."""
    return [row for key, row in records if key[1] == f"{day}T00:00:00Z"]


def _text(rows: list[Any]) -> list[bytes]:
    """Return rows to be compared whatever their order, 50 and 50.0 not being the same."""
    return sorted(orjson.dumps(row, option=orjson.OPT_SORT_KEYS) for row in rows)


async def test_each_dataset_publishes_what_the_vendor_told(tmp_path: Path) -> None:
    async with an_appspace(tmp_path, *(export(dataset, dataset) for dataset in DATASETS)) as appspace:
        await appspace.arrive(YESTERDAY, *EVENTS)
        async with appspace.scheduling() as process:
            await appspace.settled(*DATASETS)
        assert EXPECTED.keys() == DATASETS.keys()
        for dataset, expected in EXPECTED.items():
            records = await appspace.rows(dataset)
            total = dataset == "cohorts"
            bucket = "TOTAL" if total else f"{YESTERDAY}T00:00:00Z"
            rows = [row for key, row in records if key[1] == bucket]
            found = [[row["dimensions"], row["metrics"], row["attributes"]] for row in rows]
            assert _text(found) == _text([list(row) for row in expected]), dataset
            assert all(key == [dataset, bucket, row["dimensions"]] for key, row in records if key[1] == bucket)
            for row in rows:
                assert (row["export"], row["source"], row["dataset"]) == (dataset, "tolinku", dataset)
                assert (row["account"], row["resolution"]) == ("acme-tolinku", "TOTAL" if total else "DAY")
                assert (row["timezone"], row["currency"], row["unavailable"], row["flags"]) == (None, None, [], [])
                assert (row["revision"], row["provisional"], "compare_start" in row) == (1, False, False)
                assert row["bucket_start"] == f"{TODAY - timedelta(days=2) if total else YESTERDAY}T00:00:00+00:00"
                assert row["bucket_end"].startswith(f"{TODAY}T{'12:20' if total else '00:00'}:")
            # Only the series has a time axis; cohorts have one bucket; whatever else has a sum is asked once for each day.
            times = 1 if dataset in ("revenue-timeseries", "cohorts") else 3
            labels = {"source": "tolinku", "export": dataset, "result": "published"}
            assert process.metrics.registry.get_sample_value("sluice_export_pulls_total", labels) == times, dataset


async def test_models_and_windows_side_by_side(tmp_path: Path) -> None:
    query = {"model": ["last_click", "linear"], "window": [7, 90]}
    settings = export("attribution", query=query, split=["model", "window"])
    async with an_appspace(tmp_path, settings) as appspace:
        await appspace.arrive(TODAY - timedelta(days=20), {"event_type": "view_cart", "user_id": "u1", **EMAIL})
        await appspace.arrive(YESTERDAY, {"event_type": "view_cart", "user_id": "u1", "campaign": "sale"}, *EVENTS[2:3])
        async with appspace.scheduling():
            await appspace.settled()
        rows = _of(await appspace.rows("attribution"), YESTERDAY)
        assert all(row["attributes"]["model"] == row["dimensions"]["model"] for row in rows)
        assert all(row["attributes"]["window_days"] == row["dimensions"]["window"] for row in rows)
        credited = {
            (row["dimensions"]["model"], row["dimensions"]["window"], row["dimensions"]["campaign"]): row["metrics"]
            for row in rows
            if "campaign" in row["dimensions"]
        }
        assert {key: metrics["revenue"] for key, metrics in credited.items()} == {
            ("last_click", 7, "sale"): 50.0,
            ("last_click", 90, "sale"): 50.0,
            ("linear", 7, "sale"): 50.0,
            ("linear", 90, "sale"): 25.0,
            ("linear", 90, "spring-sale"): 25.0,
        }


async def test_only_what_changed_is_published_again(tmp_path: Path) -> None:
    names = ("overview", "revenue-timeseries", "top-products")
    async with an_appspace(tmp_path, *(export(name, name) for name in names)) as appspace:
        await appspace.arrive(YESTERDAY, *EVENTS)
        await appspace.arrive(TODAY, purchase("o3", 10, user_id="u3", items=[SHIRT]))
        async with appspace.scheduling():
            await appspace.settled(*names)
            before = {name: await appspace.rows(name) for name in names}
            for name in names:
                await appspace.pulled_anew(name)
                assert await appspace.rows(name) == before[name], "nothing has changed"

            await appspace.arrive(TODAY, purchase("o4", 5, user_id="u3", items=[SHIRT]))
            for name in names:
                await appspace.pulled_anew(name)
                (row,) = [row for _, row in (await appspace.rows(name))[len(before[name]) :]]
                assert (row["revision"], row["provisional"], row["bucket_start"][:10]) == (2, True, str(TODAY))

            before = {name: await appspace.rows(name) for name in names}
            await appspace.arrive(YESTERDAY, purchase("o5", 8, user_id="u2", items=[SHIRT]))
            for name in names:
                await appspace.pulled_anew(name)
                (row,) = [row for _, row in (await appspace.rows(name))[len(before[name]) :]]
                assert (row["revision"], row["provisional"], row["bucket_start"][:10]) == (2, False, str(YESTERDAY))


async def test_a_product_that_is_gone_becomes_a_tombstone(tmp_path: Path) -> None:
    async with an_appspace(tmp_path, export("top-products")) as appspace:
        await appspace.arrive(YESTERDAY, *EVENTS)
        async with appspace.scheduling():
            await appspace.settled()
            await appspace.forget("u2")
            await appspace.pulled_anew()
        gone = [key for key, row in await appspace.rows("top-products") if row is None]
        assert gone == [["daily", f"{YESTERDAY}T00:00:00Z", {"item_id": "sku_2"}]]


@pytest.mark.parametrize("inclusive", [True, False])
async def test_the_last_day_belongs_to_the_question_or_does_not(tmp_path: Path, inclusive: bool) -> None:  # noqa: FBT001  # a case
    names = ("overview", "revenue-timeseries")
    exports = [export(name, name) for name in names]
    async with an_appspace(tmp_path, *exports, end_inclusive=inclusive) as appspace:
        await appspace.sandbox.switch(end_inclusive=inclusive)
        for days_ago in range(4):
            order = purchase(f"o{days_ago}", 10 + days_ago, user_id="u1")
            await appspace.arrive(TODAY - timedelta(days=days_ago), order)
        async with appspace.scheduling():
            await appspace.settled(*names)
        for name, metric in (("overview", "total_revenue"), ("revenue-timeseries", "revenue")):
            rows = [row for _, row in await appspace.rows(name)]
            revenue = {row["bucket_start"][:10]: row["metrics"][metric] for row in rows}
            assert revenue == {str(TODAY - timedelta(days=days_ago)): 10.0 + days_ago for days_ago in range(3)}
            assert all(row["flags"] == [] for row in rows)


async def test_a_clamp_is_flagged_and_widens_no_coverage(tmp_path: Path) -> None:
    since, kept = TODAY - timedelta(days=9), TODAY - timedelta(days=5)
    async with an_appspace(tmp_path, export("revenue-timeseries", since=str(since))) as appspace:
        for day in (since, kept):
            await appspace.arrive(day, purchase(f"o{day}", 10, user_id="u1"))
        await appspace.sandbox.switch(retention_days=5, clamps_dates=True)
        async with appspace.scheduling():
            state = await appspace.until(lambda state: len(state.covered) == 1 and state.rows)
        assert state.covered == [(f"{kept}T00:00:00Z", f"{TODAY}T00:00:00Z")]
        ((_, row),) = await appspace.rows("revenue-timeseries")
        assert (row["bucket_start"][:10], row["flags"]) == (str(kept), ["clamped"])


async def test_days_that_the_plan_no_longer_keeps_have_no_rows(tmp_path: Path) -> None:
    since, kept = TODAY - timedelta(days=4), TODAY - timedelta(days=3)
    async with an_appspace(tmp_path, export("overview", since=str(since), lookback="1d")) as appspace:
        for day in (since, kept):
            await appspace.arrive(day, purchase(f"o{day}", 10, user_id="u1"))
        await appspace.sandbox.switch(retention_days=3, clamps_dates=True)
        async with appspace.scheduling():
            state = await appspace.until(lambda state: state.lacking)
        revenue = {key[1][:10]: row["metrics"]["total_revenue"] for key, row in await appspace.rows("overview")}
        assert revenue == {str(TODAY): 0, str(YESTERDAY): 0, str(TODAY - timedelta(days=2)): 0, str(kept): 10}
        assert state.covered == [(f"{kept}T00:00:00Z", f"{TODAY}T00:00:00Z")]


async def test_a_clamp_buries_nothing_and_takes_the_place_of_nothing(tmp_path: Path) -> None:
    since, kept = TODAY - timedelta(days=9), TODAY - timedelta(days=5)
    datasets = ("revenue-timeseries", "overview")
    async with an_appspace(tmp_path, *(export(name, name, since=str(since)) for name in datasets)) as appspace:
        for day in (since, kept):
            await appspace.arrive(day, purchase(f"o{day}", 10, user_id="u1"))
        async with appspace.scheduling():
            await appspace.until(lambda state: state.rows == 2, "revenue-timeseries")
            await appspace.until(lambda state: state.rows == 10, "overview")
            before = {name: (await appspace.state(name), await appspace.rows(name)) for name in datasets}
            await appspace.sandbox.switch(retention_days=5, clamps_dates=True)
            backfill = Backfill(id="again", start=str(since), end=str(TODAY - timedelta(days=3)))
            for name in datasets:
                await appspace.command(name, ExportCommand(backfills=[backfill]))
            after = {name: await appspace.until(_has_backfilled, name) for name in datasets}
        for name in datasets:
            state, rows = before[name]
            assert state is not None
            assert after[name].covered == state.covered == [(f"{since}T00:00:00Z", f"{TODAY}T00:00:00Z")]
            anew = (await appspace.rows(name))[len(rows) :]
            # What lies within the clamp is told once more, with its flag; what lies before it stays as it was.
            flagged = [(row["bucket_start"][:10], row["flags"]) for _, row in anew]
            assert flagged == ([(str(kept), ["clamped"])] if name == "revenue-timeseries" else [])


async def test_a_list_that_is_cut_off_buries_nothing(tmp_path: Path) -> None:
    async with an_appspace(tmp_path, export("top-products", query={"limit": 2})) as appspace:
        await appspace.arrive(YESTERDAY, *EVENTS)
        async with appspace.scheduling():
            await appspace.settled()
            before = await appspace.rows("top-products")
            hat = {"item_id": "sku_3", "price": 90}
            await appspace.arrive(YESTERDAY, purchase("o3", 90, user_id="u3", items=[hat]))
            await appspace.pulled_anew()
        assert [row["dimensions"]["item_id"] for _, row in before] == ["sku_1", "sku_2"]
        assert all(row["flags"] == ["truncated"] for _, row in before)
        # The second product is not among the first two any more; that it is gone was not said.
        (row,) = [row for _, row in (await appspace.rows("top-products"))[2:]]
        assert (row["dimensions"]["item_id"], row["flags"]) == ("sku_3", ["truncated"])


def _has_backfilled(state: ExportState) -> bool:
    return state.backfills == ["again"] and not state.tasks
