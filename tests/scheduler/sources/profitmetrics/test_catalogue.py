"""The live catalogue: as rows, and as what decides."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from scheduler.errors import AccountRefused, ExportRefused, Retryable
from scheduler.sources.profitmetrics.catalogue import Catalogue, Entry
from schemas.profitmetrics import METRICS
from tests.sandbox.profitmetrics.asking import KEY, NOW
from tests.scheduler.sources.profitmetrics.world import World, ask, export

if TYPE_CHECKING:
    from runtime.settings import ExportSettings

TOMORROW = NOW + timedelta(days=1, minutes=1)
CATALOGUE = export(dataset="metrics")


def entry(name: str, label: str) -> Entry:
    return Entry(name, label, {})


async def fetched(profit: World) -> int:
    paths: dict[str, int] = (await profit.vendor.asked())["paths"]
    return sum(count for path, count in paths.items() if path.endswith("/metrics"))


@pytest.mark.parametrize("envelope", [False, True])
async def test_every_metric_is_a_row(profit: World, envelope: bool) -> None:  # noqa: FBT001  # a case
    await profit.vendor.set(metrics_envelope=envelope)
    pulled = await profit.one(CATALOGUE)
    assert {found.dimensions["value"]: found.attributes for found in pulled.rows.found} == {
        name: {"label": metric.label} for name, metric in METRICS.items()
    }
    assert all(found.bucket is None and not found.metrics for found in pulled.rows.found)
    assert (pulled.answer.whole, pulled.answer.currency, pulled.answer.timezone) == (True, None, None)


@pytest.mark.parametrize("body", [
    [],
    {"success": True, "data": []},
    {"success": False, "data": [{"value": "TURNOVER", "label": "Revenue"}]},
    {"metrics": []},
    [{"value": "TURNOVER"}],
    [{"value": 1, "label": "Revenue"}],
    [{"value": "", "label": "Revenue"}],
    ["TURNOVER"],
    "soon",
])  # fmt: skip
async def test_what_is_no_catalogue_is_asked_for_again(profit: World, body: Any) -> None:
    await profit.vendor.fault({"effect": "status", "status": 200, "path": "*/export/metrics", "body": body})
    pulled = await profit.one(CATALOGUE)
    assert isinstance(pulled.error, Retryable)
    with pytest.raises(Retryable):
        await profit.one(export(["TURNOVER"]))


async def test_it_is_fetched_once_a_day(profit: World) -> None:
    for _ in range(3):
        await profit.one(export(["TURNOVER"]))
        await profit.one(export(["TURNOVER"], dataset="export"))
    assert await fetched(profit) == 1
    await profit.one(export(["TURNOVER"]), now=TOMORROW)
    assert await fetched(profit) == 2


async def test_what_only_the_vendor_knows_can_be_asked_for(profit: World) -> None:
    assert (await refused(profit, export(["BRAND_NEW"]))).startswith("the vendor has no metric BRAND_NEW")
    await profit.vendor.set(labels={"BRAND_NEW": "Brand new"})
    later = NOW + timedelta(seconds=10)
    for dataset in ("reports", "export"):
        pulled = await profit.one(export(["BRAND_NEW"], dataset=dataset), now=later)
        assert len(pulled.rows.values("BRAND_NEW")) == 3
    assert await fetched(profit) == 2


async def refused(profit: World, settings: ExportSettings, **more: Any) -> str:
    pulled = await profit.one(settings, **more)
    assert isinstance(pulled.error, ExportRefused)
    return str(pulled.error)


@pytest.mark.parametrize("dataset", ["reports", "export"])
async def test_what_the_vendor_lacks_is_refused_with_the_nearest(profit: World, dataset: str) -> None:
    reason = await refused(profit, export(["turnover", "GROSS_PROFITT", "QQ"], dataset=dataset))
    assert reason.startswith("the vendor has no metric turnover (nearest: TURNOVER")
    assert "; nor GROSS_PROFITT (nearest: GROSS_PROFIT" in reason
    assert reason.endswith("; nor QQ")
    assert not await profit.requests()


@pytest.mark.parametrize("dataset", ["reports", "export"])
async def test_a_metric_withdrawn_since_is_found_out_when_it_is_refused(profit: World, dataset: str) -> None:
    wanted = export(["TURNOVER", "NET_PROFIT_RATIO"], dataset=dataset)
    await profit.one(wanted)
    await profit.vendor.set(withdrawn_metrics=["NET_PROFIT_RATIO"])
    reason = await refused(profit, wanted, now=NOW + timedelta(minutes=5))
    assert reason.startswith("the vendor has no metric NET_PROFIT_RATIO (nearest: ")


@pytest.mark.parametrize("dataset", ["reports", "export"])
async def test_a_refusal_stays_one_when_the_catalogue_is_out_of_reach(profit: World, dataset: str) -> None:
    wanted = export(["TURNOVER", "NET_PROFIT_RATIO"], dataset=dataset)
    await profit.one(wanted)
    await profit.vendor.set(withdrawn_metrics=["NET_PROFIT_RATIO"])
    await profit.vendor.fault({"effect": "status", "status": 500, "path": "*/export/metrics"})
    assert "validation" in await refused(profit, wanted, now=NOW + timedelta(minutes=5))


@pytest.mark.parametrize("status", [400, 404, 500, 599])
async def test_a_catalogue_out_of_reach_refuses_nothing(profit: World, status: int) -> None:
    await profit.vendor.fault({"effect": "status", "status": status, "path": "*/export/metrics", "body": {}})
    with pytest.raises(Retryable):
        await profit.one(export(["TURNOVER"]))
    assert isinstance((await profit.one(export(["TURNOVER"], dataset="export"))).error, Retryable)


async def test_a_bad_key_is_told_as_such(profit: World) -> None:
    await profit.vendor.set(revoked_keys=[KEY])
    with pytest.raises(AccountRefused):
        await profit.one(export(["TURNOVER"]))
    asks = [ask(export(["TURNOVER"], dataset="export"), number=number) for number in range(3)]
    assert all(isinstance(pulled.error, AccountRefused) for pulled in await profit.pull(*asks))
    assert await fetched(profit) == 2


def test_labels() -> None:
    live = Catalogue(
        [entry("NEW", "Revenue"), entry("ONE", "Shared"), entry("TWO", "Shared"), entry("TURNOVER", "Sales")]
    )
    assert live.name("Sales", ()) == "TURNOVER"
    assert live.name("Revenue", ()) == "NEW"
    assert live.name("Gross profit", ()) == "GROSS_PROFIT"
    assert live.name("Nonsense", ()) is None
    assert live.name("Shared", ()) is None
    assert live.name("Shared", ("ONE",)) == "ONE"
    assert live.name("Shared", ("ONE", "TWO")) is None
