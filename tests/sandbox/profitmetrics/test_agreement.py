"""However a window is asked for, the figures are the same."""

from __future__ import annotations

from itertools import pairwise
from math import fsum
from typing import Any

import pytest

from sandbox.profitmetrics.formulas import FORMULAS, Total
from sandbox.profitmetrics.measures import MEASURES, happened
from schemas.profitmetrics import METRICS
from tests.sandbox.profitmetrics.asking import EUROS, KRONER, REPORTS, Asking, report

ADDITIVE = [name for name, formula in FORMULAS.items() if isinstance(formula, Total)]
AUTUMN = ("2025-10-21T00:00:00", "2025-11-05T00:00:00")  # a clock change in either zone


def test_every_number_has_a_formula() -> None:
    assert FORMULAS.keys() == {metric.name for metric in METRICS.values() if metric.kind == "number"}


def test_an_hour_is_what_it_was() -> None:
    # Restarts and other versions must not restate history: these figures are for ever.
    assert happened(EUROS, 490_000, 6, 0)[:9] == [4, 3, 2, 13035, 3688, 26576, 11640, 3258, 6644]
    assert all(value >= 0 for hour in range(490_000, 490_100) for value in happened(EUROS, hour, 6, 0))
    assert happened(EUROS, 490_000, 6, 1) != happened(EUROS, 490_000, 6, 0) != happened(KRONER, 490_000, 6, 0)
    assert len(happened(EUROS, 490_000, 6, 0)) == len(MEASURES)


@pytest.mark.parametrize(
    ("zone", "currency"),
    [("Europe/Copenhagen", "EUR"), ("Europe/Copenhagen", "KWD"), ("America/New_York", "DKK"), ("Asia/Kolkata", "JPY")],
)
async def test_parts_add_up(vendor: Asking, zone: str, currency: str) -> None:
    sums: dict[str, dict[str, float]] = {}
    asked = [
        {
            **report(ADDITIVE, *AUTUMN, sites=[EUROS, KRONER], resolution=resolution, timezone=zone),
            "id": resolution,
            "currency": currency,
        }
        for resolution in ("HOUR", "DAY", "WEEK", "MONTH", "TOTAL")
    ]
    answer = await vendor.ask(REPORTS, {"reports": asked, "calculateWithNotConfiguredMarketingChannels": True})
    for part in answer.body["data"]["reports"]:
        values = [bucket["data"] for bucket in part["metrics"]]
        sums[part["id"]] = {name: round(fsum(data[name]["value"]["value"] for data in values), 3) for name in ADDITIVE}
    assert sums["TOTAL"]["TURNOVER"] > 0
    assert sums["HOUR"] == sums["DAY"] == sums["WEEK"] == sums["MONTH"] == sums["TOTAL"]


async def test_sites_add_up(vendor: Asking) -> None:
    async def total(*sites: int) -> float:
        (value,) = await vendor.numbers("TURNOVER", *AUTUMN, sites=sites, resolution="TOTAL", currency="SEK")
        return value

    assert await total(EUROS, KRONER) == pytest.approx(await total(EUROS) + await total(KRONER), abs=1e-6)
    assert await total(EUROS, EUROS) == await total(EUROS)


async def test_cutting_a_period_anywhere_loses_nothing(vendor: Asking) -> None:
    cuts = [
        "2026-06-15T00:00:00",
        "2026-06-15T07:13:29",
        "2026-06-15T07:59:59.999",
        "2026-06-16T11:30:00",
        "2026-06-20T00:00",
    ]
    whole = await vendor.numbers("GOOGLE_IMPRESSIONS", cuts[0], cuts[-1], resolution="TOTAL")
    parts = [
        (await vendor.numbers("GOOGLE_IMPRESSIONS", start, end, resolution="TOTAL"))[0] for start, end in pairwise(cuts)
    ]
    assert [sum(parts)] == whole
    assert all(parts)


async def test_ratios_come_from_the_sums(vendor: Asking) -> None:
    names = [
        "TURNOVER",
        "NUMBER_OF_ORDERS",
        "TOTAL_ADSPEND",
        "GROSS_PROFIT",
        "NEW_CUSTOMERS",
        "TURNOVER_AVG",
        "BLENDED_ROAS",
        "BLENDED_POAS",
        "GROSS_PROFIT_RATIO",
        "N_CAC",
    ]
    (bucket,) = await vendor.report(names, *AUTUMN, resolution="TOTAL")
    value = {name: bucket["data"][name]["value"]["value"] for name in names}
    expected = {
        "TURNOVER_AVG": value["TURNOVER"] / value["NUMBER_OF_ORDERS"],
        "BLENDED_ROAS": value["TURNOVER"] / value["TOTAL_ADSPEND"],
        "BLENDED_POAS": value["GROSS_PROFIT"] / value["TOTAL_ADSPEND"],
        "GROSS_PROFIT_RATIO": 100 * value["GROSS_PROFIT"] / value["TURNOVER"],
        "N_CAC": value["TOTAL_ADSPEND"] / value["NEW_CUSTOMERS"],
    }
    for name, ratio in expected.items():
        assert value[name] == pytest.approx(ratio, abs=0.0051), name


async def test_the_books_balance(vendor: Asking) -> None:
    (bucket,) = await vendor.report(ADDITIVE, *AUTUMN, resolution="TOTAL", outer=True)
    cents = {name: round(value["value"]["value"] * 100) for name, value in bucket["data"].items()}

    def total(*names: str) -> int:
        return sum(cents[name] for name in names)

    costs = ("PRODUCTS_COST_TOTAL", "SHIPPING_FEE_COST_TOTAL", "PAYMENT_FEE_COST_TOTAL", "EXTRA_COST_TOTAL")
    assert cents["TURNOVER"] - total(*costs) == cents["GROSS_PROFIT"]
    assert total("FIRST_TIME_ORDERS", "RECURRING_ORDERS") == cents["NUMBER_OF_ORDERS"]
    assert total("FIRST_TIME_ORDERS_TURNOVER", "RECURRING_ORDERS_TURNOVER") == cents["TURNOVER"]
    assert total("NEW_CUSTOMERS", "RETURNING_CUSTOMERS") == cents["UNIQUE_CUSTOMERS"]
    spends = [name for name in cents if name.startswith("ADSPEND_")]
    assert len(spends) == 11
    assert total(*spends) == cents["TOTAL_ADSPEND"]
    for name in (name for name in cents if name.startswith("RETURN") and name.endswith("_ORDER_TIME")):
        assert total(f"FIRST_ORDERS_{name}", f"RECURRING_ORDERS_{name}") == cents[name]


async def test_amounts_have_their_currencys_decimals(vendor: Asking) -> None:
    async def amounts(currency: str) -> list[Any]:
        return await vendor.numbers("TURNOVER", *AUTUMN, currency=currency)

    assert all(isinstance(amount, int) for amount in await amounts("JPY"))
    assert any(round(amount, 2) != amount for amount in await amounts("KWD"))
    assert all(round(amount, 2) == amount for amount in await amounts("USD"))
