"""Marketing channels: "N/A" without their set-up, and what the two flags change."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.profitmetrics.asking import EUROS, KRONER, Asking

DAY = ("2026-06-15T00:00:00", "2026-06-16T00:00:00")
ASKED = ["TURNOVER", "TOTAL_ADSPEND", "GOOGLE_ADSPEND", "ADSPEND_META", "TIKTOK_ADSPEND", "PINTEREST_ADSPEND"]


async def values(vendor: Asking, *sites: int, **flags: Any) -> dict[str, Any]:
    (bucket,) = await vendor.report(ASKED, *DAY, sites=sites, **flags)
    return {
        name: value["value"]["value"] if isinstance(value["value"], dict) else value["value"]
        for name, value in bucket["data"].items()
    }


async def test_a_site_with_all_that_it_connected(vendor: Asking) -> None:
    found = await values(vendor, EUROS)
    assert [name for name, value in found.items() if value == "N/A"] == ["TIKTOK_ADSPEND", "PINTEREST_ADSPEND"]


async def test_one_missing_channel_spoils_the_blend(vendor: Asking) -> None:
    lacking = ["TOTAL_ADSPEND", "ADSPEND_META", "TIKTOK_ADSPEND", "PINTEREST_ADSPEND"]
    for sites in ([KRONER], [EUROS, KRONER]):
        found = await values(vendor, *sites)
        assert [name for name, value in found.items() if value == "N/A"] == lacking


async def test_the_outer_flag_takes_missing_channels_for_zero(vendor: Asking) -> None:
    found = await values(vendor, KRONER, outer=True)
    assert "N/A" not in found.values()
    assert (found["ADSPEND_META"], found["TIKTOK_ADSPEND"], found["PINTEREST_ADSPEND"]) == (0, 0, 0)
    assert 0 < found["GOOGLE_ADSPEND"] < found["TOTAL_ADSPEND"]


async def test_the_inner_flag_lets_partial_channels_count(vendor: Asking) -> None:
    without = await values(vendor, KRONER, outer=True)
    partial = await values(vendor, KRONER, outer=True, allowPartialMarketingChannels=True)
    assert (partial["ADSPEND_META"], partial["PINTEREST_ADSPEND"]) == (0, 0)
    assert partial["TIKTOK_ADSPEND"] > 0
    total = without["TOTAL_ADSPEND"] + partial["TIKTOK_ADSPEND"]
    assert partial["TOTAL_ADSPEND"] == pytest.approx(total, abs=1e-6)


async def test_channels_by_the_flags(vendor: Asking) -> None:
    metric = "ADSPEND_BY_CHANNEL"
    (strict,) = await vendor.report([metric], *DAY, sites=[KRONER])
    assert strict["data"][metric]["value"] == "N/A"
    (lenient,) = await vendor.report([metric], *DAY, sites=[KRONER], outer=True)
    spends = {channel: number["value"] for channel, number in lenient["data"][metric]["value"].items()}
    assert list(spends) == ["Google", "Meta", "TikTok"]
    assert spends["Google"] > 0 == spends["Meta"] == spends["TikTok"]


async def test_an_export_has_no_flags(vendor: Asking) -> None:
    (bucket,) = await vendor.export(["TOTAL_ADSPEND", "TURNOVER"], csids=[KRONER], resolution="TOTAL", lookbackWindow=1)
    assert bucket["metrics"]["Total adspend"] == "N/A"
    assert bucket["metrics"]["Revenue"] > 0


async def test_a_timestamp_without_google(vendor: Asking) -> None:
    await vendor.set(sites={EUROS: {"channels": {"Meta": "configured"}}})
    (strict,) = await vendor.report(["GOOGLE_ADSPEND_TIMESTAMP"], *DAY)
    (lenient,) = await vendor.report(["GOOGLE_ADSPEND_TIMESTAMP"], *DAY, outer=True)
    assert strict["data"]["GOOGLE_ADSPEND_TIMESTAMP"] == {"value": "N/A"}
    assert lenient["data"]["GOOGLE_ADSPEND_TIMESTAMP"] == {"value": None}
