"""From the seed's answers to rows (RECORDS §2), number for number."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from scheduler.errors import Retryable
from tests.scheduler.far_side import Say
from tests.scheduler.sources.tolinku import seed
from tests.scheduler.sources.tolinku.world import KEY, ROOT, ask, days, export

if TYPE_CHECKING:
    from scheduler.sources.interface import Found
    from tests.scheduler.far_side import FarSide
    from tests.scheduler.sources.tolinku.world import Asking

CHANNEL = {"campaign": "spring-sale", "source": "email", "medium": "newsletter"}
MODEL = {"model": "last_click", "window_days": 30}

EXPECTED: dict[str, tuple[bytes, list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]]] = {
    "overview": (
        seed.OVERVIEW,
        [({}, {name: value for name, value in orjson.loads(seed.OVERVIEW).items() if name != "days"}, {})],
    ),
    "funnel": (
        seed.FUNNEL,
        [
            ({"name": "view_item"}, {"count": 5000, "percentage": 100}, {"step": 1}),
            ({"name": "add_to_cart"}, {"count": 1600, "percentage": 32.0}, {"step": 2}),
        ],
    ),
    "top-products": (
        seed.PRODUCTS,
        [
            ({"item_id": "sku_1"}, {"revenue": 2499.0, "quantity": 100, "orders": 85}, {"item_name": "T-Shirt"}),
            ({"item_id": "sku_2"}, {"revenue": 1899.0, "quantity": 38, "orders": 35}, {"item_name": "Hoodie"}),
        ],
    ),
    "revenue-by-channel": (seed.CHANNELS, [(CHANNEL, {"revenue": 4500.0, "orders": 90, "conversion_rate": 3.2}, {})]),
    "revenue-by-coupon": (
        seed.COUPONS,
        [({"coupon_code": "SAVE10"}, {"revenue": 1200.0, "orders": 40, "avg_discount": 12.5}, {})],
    ),
    "revenue-by-device": (seed.DEVICES, [({"device_type": "mobile"}, {"revenue": 8200.0, "orders": 165}, {})]),
    "revenue-by-platform": (seed.PLATFORMS, [({"platform": "ios"}, {"revenue": 6500.0, "orders": 130}, {})]),
    "revenue-by-country": (seed.COUNTRIES, [({"country": "US"}, {"revenue": 9200.0, "orders": 185}, {})]),
    "cart-abandonment": (
        seed.ABANDONMENT,
        [
            (
                {},
                {
                    "abandonment_rate": 68.5,
                    "abandoned_carts": 520,
                    "abandoned_revenue": 32000.0,
                    "completed_carts": 238,
                },
                {},
            )
        ],
    ),
    "attribution": (
        seed.ATTRIBUTION,
        [
            ({}, {"unattributed.revenue": 2100.0, "unattributed.orders": 45}, MODEL),
            (CHANNEL, {"revenue": 4500.0, "orders": 90, "pct_of_total": 36.1}, MODEL),
        ],
    ),
    "cohorts": (
        seed.COHORTS,
        [
            ({}, {"avg_ltv": 82.5, "total_purchasing_users": 580}, {}),
            ({"cohort": "2026-01"}, {"users": 120}, {}),
            ({"cohort": "2026-01", "month": 0}, {"revenue": 3200.0}, {}),
            ({"cohort": "2026-01", "month": 1}, {"revenue": 1800.0}, {}),
            ({"cohort": "2026-01", "month": 2}, {"revenue": 900.0}, {}),
            ({"cohort": "2025-12"}, {"users": 95}, {}),
            ({"cohort": "2025-12", "month": 0}, {"revenue": 2800.0}, {}),
        ],
    ),
}


def content(found: Found) -> bytes:
    """Return what of a row gets into the topic, so that 100 and 100.0 are not the same."""
    return orjson.dumps([found.dimensions, found.metrics, found.attributes])


@pytest.mark.parametrize("dataset", EXPECTED)
async def test_rows_of_the_seeds_answer(far_side: FarSide, asking: Asking, dataset: str) -> None:
    body, expected = EXPECTED[dataset]
    far_side.say(Say(body=body))

    answer, rows = await asking.one(export(dataset))

    assert [content(found) for found in rows.found] == [orjson.dumps(row) for row in expected]
    total = dataset == "cohorts"
    assert {found.bucket for found in rows.found} == {None if total else days("2026-02-09", "2026-02-10")}
    assert (answer.whole, answer.covered, answer.currency, answer.timezone) == (True, None, None, None)


async def test_the_request(far_side: FarSide, asking: Asking) -> None:
    far_side.say(Say(body=seed.PRODUCTS))

    await asking.one(export("top-products", query={"limit": 50}))

    (got,) = far_side.got
    assert (got.method, got.target.partition("?")[0]) == ("GET", f"{ROOT}/top-products")
    assert dict(got.query) == {"limit": "50", "start": "2026-02-09", "end": "2026-02-09"}
    assert got.headers["X-API-Key"] == "tolk_sec_acme"


async def test_a_series_has_its_dates_as_buckets(far_side: FarSide, asking: Asking) -> None:
    far_side.say(Say(body=seed.SERIES))

    answer, rows = await asking.one(export("revenue-timeseries"), days("2026-01-01", "2026-01-04"))

    assert rows.metrics == [({}, {"revenue": 450.0, "orders": 8}), ({}, {"revenue": 620.0, "orders": 12})]
    assert [found.bucket for found in rows.found] == [
        days("2026-01-01", "2026-01-02"),
        days("2026-01-02", "2026-01-03"),
    ]
    assert all(found.attributes == {} for found in rows.found)
    assert answer.whole


async def test_a_day_in_a_zone_with_changing_clocks_has_its_own_length(far_side: FarSide, asking: Asking) -> None:
    settings = export("revenue-timeseries", timezone="America/New_York")
    far_side.say(Say(body={"series": [{"date": "2026-03-08", "revenue": 1, "orders": 1}], "days": 30}))

    _, rows = await asking.one(settings, days("2026-03-08", "2026-03-09", settings.timezone))

    bucket = rows.found[0].bucket
    assert bucket is not None
    assert (bucket.start.isoformat(), bucket.end.isoformat()) == (
        "2026-03-08T00:00:00-05:00",
        "2026-03-09T00:00:00-04:00",
    )


async def test_null_absent_and_zero_are_kept_apart(far_side: FarSide, asking: Asking) -> None:
    far_side.say(
        Say(
            body={
                "countries": [
                    {"country": "US", "revenue": 0, "orders": None},
                    {"country": None, "revenue": 0.0},
                ],
                "days": 30,
            }
        )
    )

    _, rows = await asking.one(export("revenue-by-country"))

    assert [content(found) for found in rows.found] == [
        b'[{"country":"US"},{"revenue":0,"orders":null},{}]',
        b'[{"country":null},{"revenue":0.0},{}]',
    ]


async def test_fields_that_the_seed_does_not_name_are_kept(far_side: FarSide, asking: Asking) -> None:
    element = {"platform": "ios", "revenue": 1, "orders": 1, "refunds": 2, "label": "iOS", "beta": True, "tags": [1.5]}
    far_side.say(
        Say(body={"platforms": [element], "days": 30, "request_id": "f00"}),
        Say(body=orjson.dumps({**orjson.loads(seed.OVERVIEW), "gross_profit": 7, "generated_at": "now"})),
    )

    _, platforms = await asking.one(export("revenue-by-platform"))
    _, overview = await asking.one(export("overview"))

    assert platforms.found[0].metrics == {"revenue": 1, "orders": 1, "refunds": 2}
    assert platforms.found[0].attributes == {"label": "iOS", "beta": True, "tags": [1.5]}
    assert overview.found[0].metrics["gross_profit"] == 7
    assert "generated_at" not in {**overview.found[0].metrics, **overview.found[0].attributes}


async def test_one_of_several_identities_that_is_absent_is_unset(far_side: FarSide, asking: Asking) -> None:
    far_side.say(Say(body={"channels": [{"campaign": "c", "source": "s", "revenue": 1, "orders": 1}], "days": 1}))

    _, rows = await asking.one(export("revenue-by-channel"))

    assert rows.found[0].dimensions == {"campaign": "c", "source": "s", "medium": None}


async def test_large_numbers_and_small_ones(far_side: FarSide, asking: Asking) -> None:
    body = b'{"countries": [{"country": "US", "revenue": 123456789012345678901234, "orders": 9007199254740993}], "days": 1}'
    far_side.say(Say(body=body))

    _, rows = await asking.one(export("revenue-by-country"))

    assert rows.found[0].metrics == {"revenue": 1.2345678901234568e23, "orders": 9007199254740993}


async def test_a_split_is_asked_value_by_value(far_side: FarSide, asking: Asking) -> None:
    settings = export("attribution", query={"model": ["linear", "time_decay"], "window": 7}, split=["model"])
    far_side.say(*(Say(body=seed.ATTRIBUTION.replace(b"last_click", model)) for model in (b"linear", b"time_decay")))

    pulled = await asking.pull(
        *(
            ask(settings, query={"model": [model], "window": 7}, dimensions={"model": model})
            for model in ("linear", "time_decay")
        )
    )

    assert [(got.query["model"], got.query["window"]) for got in far_side.got] == [("linear", "7"), ("time_decay", "7")]
    assert [found.dimensions for _, rows in pulled for found in rows.found] == [
        {"model": "linear"},
        {"model": "linear", **CHANNEL},
        {"model": "time_decay"},
        {"model": "time_decay", **CHANNEL},
    ]


NO_ANSWERS: dict[str, tuple[str, bytes]] = {
    "a page": ("overview", b"<html>login</html>"),
    "nothing": ("overview", b""),
    "a list": ("overview", b"[]"),
    "no success": ("overview", seed.OVERVIEW.replace(b"{", b'{"success": false, "error": "later", ', 1)),
    "not ok": ("funnel", seed.FUNNEL.replace(b"{", b'{"ok": false, ', 1)),
    "another object": ("overview", b'{"ok": true}'),
    "another endpoint": ("funnel", seed.PRODUCTS),
    "no list": ("funnel", b'{"steps": null, "days": 1}'),
    "numbers in the list": ("funnel", b'{"steps": [1], "days": 1}'),
    "no identity": ("funnel", b'{"steps": [{"count": 1}], "days": 1}'),
    "an identity that is a list": ("funnel", b'{"steps": [{"name": [], "count": 1}], "days": 1}'),
    "text for a number": ("funnel", b'{"steps": [{"name": "a", "count": "1"}], "days": 1}'),
    "truth for a number": ("overview", b'{"total_revenue": true, "days": 1}'),
    "a number beyond doubles": ("overview", b'{"total_revenue": 1e999, "days": 1}'),
    "broken off": ("top-products", seed.PRODUCTS[:-20]),
    "something behind": ("top-products", seed.PRODUCTS + b"}"),
    "no date": ("revenue-timeseries", b'{"series": [{"revenue": 1}], "days": 1}'),
    "a strange date": ("revenue-timeseries", b'{"series": [{"date": "1/2", "revenue": 1}], "days": 1}'),
    "a strange month": ("cohorts", b'{"cohorts": [{"month": "2026-01", "revenue_by_month": {"x": 1}}]}'),
    "months as a list": ("cohorts", b'{"cohorts": [{"month": "2026-01", "revenue_by_month": [1]}]}'),
    "no month": ("cohorts", b'{"cohorts": [{"users": 1}]}'),
    "unattributed as a number": ("attribution", b'{"attributed": [], "unattributed": 1}'),
    "bad UTF-8": ("overview", b'{"total_revenue": 1, "x": "\xff"}'),
    "depth": ("funnel", b'{"steps": [{"name": "a", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}]}"),
}


@pytest.mark.parametrize("case", NO_ANSWERS)
async def test_a_good_status_with_no_answer_of_the_endpoint_is_retried(
    far_side: FarSide, asking: Asking, case: str
) -> None:
    dataset, body = NO_ANSWERS[case]
    far_side.say(Say(body=body))

    with pytest.raises(Retryable) as failed:
        await asking.one(export(dataset))
    (logged,) = (call.kwargs for call in asking.log.calls)
    assert (logged["path"], logged["query"]["start"], logged["status"]) == (f"{ROOT}/{dataset}", "2026-02-09", 200)
    assert logged["reason"] == str(failed.value)
    assert KEY not in str(logged)


async def test_a_list_without_elements_is_an_answer(far_side: FarSide, asking: Asking) -> None:
    far_side.say(Say(body={"steps": [], "days": 30}))

    answer, rows = await asking.one(export("funnel"))

    assert (rows.found, answer.whole) == ([], True)


async def test_the_running_day_is_the_last_that_is_asked_for(far_side: FarSide, asking: Asking) -> None:
    far_side.say(Say(body=seed.OVERVIEW.replace(b'"days": 30', b'"days": 10')))

    answer, rows = await asking.one(export(resolution="MONTH"), days("2026-02-01", "2026-03-01"))

    assert (far_side.got[0].query["start"], far_side.got[0].query["end"]) == ("2026-02-01", "2026-02-10")
    assert rows.found[0].bucket == days("2026-02-01", "2026-03-01")
    assert answer.whole


async def test_total_spans_up_to_now(far_side: FarSide, asking: Asking) -> None:
    far_side.say(Say(body=seed.OVERVIEW))
    window = dataclasses.replace(days("2026-02-01", "2026-02-02"), end=ask(export()).now)

    await asking.one(export(resolution="TOTAL"), window)

    assert (far_side.got[0].query["start"], far_side.got[0].query["end"]) == ("2026-02-01", "2026-02-10")
