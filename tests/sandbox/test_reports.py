"""The query endpoints over HTTP: the shapes of seed 003, by hand, and what they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runtime.clock import ManualClock
from sandbox.tolinku.queries.reports import REPORTS
from tests.sandbox.running import PUBLISHABLE, ROOT, SECRET, Answer, Running, purchase, running

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 60 * 60
SHIRT = {"item_id": "sku_1", "item_name": "T-Shirt", "price": 24.99}
SPRING = {"campaign": "spring-sale", "source": "email", "medium": "newsletter"}
DIRECT = {"campaign": "(none)", "source": "(none)", "medium": "(none)"}


async def ask(sandbox: Running, report: str, query: str = "", key: str = SECRET) -> Answer:
    return await sandbox.request("GET", f"{sandbox.url}{ROOT}/{report}?{query}", headers={"X-API-Key": key})


async def body(sandbox: Running, report: str, query: str = "") -> Any:
    answer = await ask(sandbox, report, query)
    assert answer.status == 200, answer.body
    return answer.body


async def test_by_hand(sandbox: Running) -> None:
    user = {"user_id": "u1"}
    await sandbox.batch(
        {"event_type": "view_item", "items": [SHIRT], **user, **SPRING},
        {"event_type": "add_to_cart", "items": [SHIRT | {"quantity": 2}], **user, "properties": SPRING},
        {"event_type": "view_cart", "user_id": "u2", **SPRING},
        {"event_type": "add_to_cart", "items": [SHIRT, {"item_id": "sku_2", "price": 1500, "currency": "JPY"}], "cart_id": "c"},
        {"event_type": "remove_from_cart", "items": [SHIRT], "cart_id": "c"},
        purchase("o1", 49.98, **user, **SPRING, coupon_code="SAVE10", discount=5, platform="ios", items=[SHIRT | {"quantity": 2}]),
        purchase("o2", 10, currency="USD", platform="web", properties={"country": "gb", "device_type": "desktop"}),
    )  # fmt: skip
    assert await body(sandbox, "revenue-timeseries", "days=7") == {
        "series": [{"date": "2027-01-15", "revenue": 59.18, "orders": 2}],
        "days": 7,
    }
    assert (await body(sandbox, "funnel"))["steps"] == [
        {"name": "view_item", "count": 1, "percentage": 100},
        {"name": "add_to_cart", "count": 2, "percentage": 200},
        {"name": "view_cart", "count": 1, "percentage": 50},
        {"name": "begin_checkout", "count": 0, "percentage": 0},
        {"name": "add_payment_info", "count": 0, "percentage": 0},
        {"name": "purchase", "count": 2, "percentage": 0},
    ]
    assert (await body(sandbox, "top-products"))["products"] == [
        {"item_id": "sku_1", "item_name": "T-Shirt", "revenue": 49.98, "quantity": 2, "orders": 1}
    ]
    assert (await body(sandbox, "revenue-by-channel"))["channels"] == [
        SPRING | {"revenue": 49.98, "orders": 1, "conversion_rate": 50},
        DIRECT | {"revenue": 9.20, "orders": 1, "conversion_rate": 0},
    ]
    assert (await body(sandbox, "revenue-by-coupon"))["coupons"] == [
        {"coupon_code": "SAVE10", "revenue": 49.98, "orders": 1, "avg_discount": 5}
    ]
    assert (await body(sandbox, "revenue-by-device"))["devices"] == [
        {"device_type": "mobile", "revenue": 49.98, "orders": 1},
        {"device_type": "desktop", "revenue": 9.20, "orders": 1},
    ]
    assert (await body(sandbox, "revenue-by-platform"))["platforms"] == [
        {"platform": "ios", "revenue": 49.98, "orders": 1},
        {"platform": "web", "revenue": 9.20, "orders": 1},
    ]
    assert (await body(sandbox, "revenue-by-country"))["countries"] == [
        {"country": "unknown", "revenue": 49.98, "orders": 1},
        {"country": "GB", "revenue": 9.20, "orders": 1},
    ]
    assert await body(sandbox, "cart-abandonment") == {
        "abandonment_rate": 50,
        "abandoned_carts": 1,
        "abandoned_revenue": 9.30,
        "completed_carts": 1,
        "days": 30,
    }
    assert await body(sandbox, "attribution") == {
        "attributed": [SPRING | {"revenue": 49.98, "orders": 1, "pct_of_total": 84.5}],
        "unattributed": {"revenue": 9.20, "orders": 1},
        "model": "last_click",
        "window_days": 30,
    }
    assert await body(sandbox, "cohorts") == {
        "cohorts": [{"month": "2027-01", "users": 1, "revenue_by_month": {"0": 49.98}}],
        "avg_ltv": 49.98,
        "total_purchasing_users": 1,
    }
    assert await body(sandbox, "user-journey", "user_id=u1") == {
        "events": [
            {"event_type": "view_item", "timestamp": "2027-01-15T08:00:00Z", "items": [SHIRT]},
            {"event_type": "add_to_cart", "timestamp": "2027-01-15T08:00:00Z", "items": [SHIRT | {"quantity": 2}]},
            {
                "event_type": "purchase",
                "timestamp": "2027-01-15T08:00:00Z",
                "items": [SHIRT | {"quantity": 2}],
                "transaction_id": "o1",
                "revenue": 49.98,
            },
        ],
        "user_id": "u1",
    }


async def test_the_models_of_attribution(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock) as sandbox:
        for campaign, days in (("a", 3), ("b", 4), ("b", 3), ("c", 7)):
            await sandbox.batch({"event_type": "search", "user_id": "u1", "campaign": campaign})
            await clock.advance(days * 24 * HOUR)
        await sandbox.batch(purchase("o1", 100, user_id="u1", campaign="own"), purchase("o2", 1, user_id="u2"))

        async def found(query: str) -> dict[str, float]:
            answer = await body(sandbox, "attribution", query)
            return {row["campaign"]: row["revenue"] for row in answer["attributed"]}

        assert await found("") == {"c": 100}
        assert await found("model=linear") == {"a": 33.33, "b": 33.34, "c": 33.33}
        # Half of it for each week: 17 days, 10 days, 7 days.
        assert await found("model=time_decay") == {"a": 17.57, "b": 35.14, "c": 47.29}
        assert await found("model=linear&window=14") == {"b": 50, "c": 50}
        assert await found("model=linear&window=7") == {"c": 100}
        await clock.advance(1)
        await sandbox.batch(purchase("o3", 10, user_id="u1"))
        assert (await body(sandbox, "attribution", "window=7"))["attributed"][0]["revenue"] == 100


async def test_nothing_arrived(sandbox: Running) -> None:
    for report in REPORTS:
        answer = await body(sandbox, report, "user_id=nobody&days=7")
        assert answer.pop("days", 7) == 7
        answer = {name: value for name, value in answer.items() if name not in ("model", "window_days", "user_id")}
        steps = answer.pop("steps", [])
        assert [step["percentage"] for step in steps] == ([100, 0, 0, 0, 0, 0] if steps else [])
        assert all(value in (0, [], {"revenue": 0, "orders": 0}) for value in answer.values()), report


@pytest.mark.parametrize("report", REPORTS)
async def test_what_each_report_has_in_common(sandbox: Running, report: str) -> None:
    refused = await ask(sandbox, report, key=PUBLISHABLE)
    assert (refused.status, refused.body["code"]) == (403, "SECRET_KEY_REQUIRED")
    crooked = await ask(sandbox, report, "days=0&user_id=u1")
    assert (crooked.status, crooked.body) == (
        400,
        {"error": "days must be a positive integer", "code": "INVALID_PERIOD"},
    )
    await sandbox.switch(retention_days=180)
    for query in ("days=9999", f"days={'9' * 5000}"):
        answer = await body(sandbox, report, f"{query}&user_id=u1")
        assert answer.get("days", 180) == 180
    await body(sandbox, report, "start=0001-01-01&end=9999-12-31&user_id=u1&colour=red")


@pytest.mark.parametrize(
    ("report", "query", "error"),
    [
        ("top-products", "limit=0", "limit must be an integer from 1 to 100"),
        ("top-products", "limit=101", "limit must be an integer from 1 to 100"),
        ("top-products", "limit=", "limit must be an integer from 1 to 100"),
        ("top-products", f"limit={'9' * 5000}", "limit must be an integer from 1 to 100"),
        ("attribution", "model=first_click", "model must be one of last_click, linear, time_decay"),
        ("attribution", "window=8", "window must be one of 7, 14, 30, 60, 90"),
        ("attribution", "window=07", "window must be one of 7, 14, 30, 60, 90"),
        ("cohorts", "months=-1", "months must be an integer from 1 to 120"),
        ("cohorts", "months=1.5", "months must be an integer from 1 to 120"),
        ("user-journey", "", "user_id is required"),
        ("user-journey", "user_id=", "user_id is required"),
    ],
)
async def test_crooked_parameters_are_a_400(sandbox: Running, report: str, query: str, error: str) -> None:
    answer = await ask(sandbox, report, query)
    assert (answer.status, answer.body) == (400, {"error": error, "code": "INVALID_PARAMETER"})


async def test_the_zone_decides_which_day_and_month_it_is(tmp_path: Path) -> None:
    clock = ManualClock(1_801_440_000 - HOUR)  # 2027-01-31, 23:00 UTC
    async with running(tmp_path, clock) as sandbox:
        await sandbox.batch(purchase("o1", 5, user_id="u1"))
        for zone, day in (
            ("UTC", "2027-01-31"),
            ("Europe/Copenhagen", "2027-02-01"),
            ("America/New_York", "2027-01-31"),
        ):
            await sandbox.switch(time_zone=zone)
            assert [row["date"] for row in (await body(sandbox, "revenue-timeseries"))["series"]] == [day]
            assert [row["month"] for row in (await body(sandbox, "cohorts"))["cohorts"]] == [day[:7]]
            assert (await body(sandbox, "overview", f"start={day}&end={day}"))["total_orders"] == 1


@pytest.mark.parametrize(("reads", "device", "platform"), [(True, "tablet", "ios"), (False, "unknown", "unknown")])
async def test_whether_the_request_is_read(sandbox: Running, *, reads: bool, device: str, platform: str) -> None:
    await sandbox.switch(reads_request=reads)
    agent = {"User-Agent": "Mozilla/5.0 (iPad; CPU OS 17_0)"}
    await sandbox.post(f"{ROOT}/track", purchase("o1", 5), headers=agent)
    assert (await body(sandbox, "revenue-by-device"))["devices"][0]["device_type"] == device
    assert (await body(sandbox, "revenue-by-platform"))["platforms"][0]["platform"] == platform


async def test_what_only_a_hostile_sender_would_send(sandbox: Running) -> None:
    odd = {"price": 1e300, "quantity": -1e300, "currency": "KWD"}
    await sandbox.batch(
        {
            "event_type": "add_to_cart",
            "user_id": "u\0",
            "items": [SHIRT | odd, SHIRT | {"price": 1e13, "quantity": 1e13}],
        },
        {
            "event_type": "search",
            "user_id": "u\0",
            "campaign": {"a": ["b"]},
            "source": 7,
            "platform": [],
            "items": None,
        },
        purchase(
            "o1", 1, user_id="u\0", discount=1e300, country={"x": 1}, platform=None, items=[SHIRT | {"price": 1e300}]
        ),
    )
    for report in REPORTS:
        await body(sandbox, report, "user_id=u%00&model=linear")
    assert (await body(sandbox, "cart-abandonment"))["completed_carts"] == 1
    (row,) = (await body(sandbox, "attribution"))["attributed"]
    assert (row["campaign"], row["source"]) == ('{"a":["b"]}', "7")
