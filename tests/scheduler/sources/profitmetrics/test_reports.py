"""`data/reports` against the stand-in: exact windows, comparisons, channels, and many reports in a request."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from runtime.spans import Compare
from scheduler.errors import AccountRefused, ExportRefused, Retryable
from scheduler.plan import Window
from tests.sandbox.profitmetrics.asking import EUROS, KEY, KRONER, at
from tests.scheduler.sources.profitmetrics.world import COPENHAGEN, NEW_YORK, World, ask, export, window, world

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from tests.scheduler.sources.profitmetrics.world import Pulled

FULLY = {"Google": "configured", "Meta": "configured"}
LATER = datetime(2026, 12, 1, tzinfo=UTC)


async def test_days(profit: World) -> None:
    pulled = await profit.one(export(["TURNOVER", "NUMBER_OF_ORDERS"]))
    assert (pulled.answer.whole, pulled.answer.currency, pulled.answer.timezone) == (True, "EUR", "Europe/Copenhagen")
    assert pulled.rows.starts == ["2026-06-15T00:00:00+02:00", "2026-06-16T00:00:00+02:00", "2026-06-17T00:00:00+02:00"]
    bucket = pulled.rows.found[0].bucket
    assert bucket is not None
    assert bucket.end.isoformat() == "2026-06-16T00:00:00+02:00"
    told = await profit.vendor.numbers("TURNOVER", "2026-06-15T00:00:00", "2026-06-18T00:00:00")
    assert pulled.rows.values("TURNOVER") == told
    assert all(type(count) is int for count in pulled.rows.values("NUMBER_OF_ORDERS"))
    assert all(found.metrics.keys() == {"TURNOVER", "NUMBER_OF_ORDERS"} for found in pulled.rows.found)


CHANGES = [
    (COPENHAGEN, "2026-03-29", "2026-03-30", 23, []),
    (COPENHAGEN, "2026-10-25", "2026-10-26", 25, ["02:00+02:00", "02:00+01:00"]),
    (NEW_YORK, "2026-03-08", "2026-03-09", 23, []),
    (NEW_YORK, "2026-11-01", "2026-11-02", 25, ["01:00-04:00", "01:00-05:00"]),
]


@pytest.mark.parametrize(("zone", "start", "end", "hours", "twice"), CHANGES)
async def test_the_day_that_the_clocks_change(
    zone: ZoneInfo, start: str, end: str, hours: int, twice: list[str]
) -> None:
    async with world(now=LATER) as later:
        hourly = export(["TURNOVER"], resolution="HOUR", timezone=zone)
        pulled = await later.one(hourly, start, end, now=LATER)
        assert len(pulled.rows.found) == hours
        lengths = [
            found.bucket.end.timestamp() - found.bucket.start.timestamp() for found in pulled.rows.found if found.bucket
        ]
        assert set(lengths) == {3600.0}
        clock = [text.partition("T")[2].replace(":00:00", ":00") for text in pulled.rows.starts]
        assert [text for text in clock if text[:2] in {each[:2] for each in twice}] == twice
        daily = await later.one(export(["TURNOVER"], timezone=zone), start, end, now=LATER)
        (day,) = daily.rows.found
        assert day.bucket is not None
        assert day.bucket.end.timestamp() - day.bucket.start.timestamp() == hours * 3600
        assert day.metrics["TURNOVER"] == pytest.approx(sum(pulled.rows.values("TURNOVER")))


async def test_windows_that_begin_or_end_in_the_repeated_hour() -> None:
    async with world(now=LATER) as later:
        hourly = export(["TURNOVER"], resolution="HOUR")
        whole = (await later.one(hourly, "2026-10-25", "2026-10-26", now=LATER)).rows
        for begins, ends in (
            ("02:00+02:00", "02:00+01:00"),
            ("02:00+01:00", "03:00+01:00"),
            ("01:00+02:00", "02:00+02:00"),
        ):
            asked = ask(hourly, now=LATER)
            start, end = (
                datetime.fromisoformat(f"2026-10-25T{text}").astimezone(COPENHAGEN) for text in (begins, ends)
            )
            (pulled,) = await later.pull(replace(asked, window=Window(start, end)))
            assert pulled.rows.starts == [f"2026-10-25T{begins.replace('+', ':00+')}"]
            (found,) = pulled.rows.found
            assert found in whole.found


@pytest.mark.parametrize(
    ("resolution", "start", "end", "starts"),
    [
        ("WEEK", "2026-06-08", "2026-06-22", ["2026-06-08", "2026-06-15"]),
        ("MONTH", "2026-05-01", "2026-07-01", ["2026-05-01", "2026-06-01"]),
    ],
)
async def test_weeks_and_months(profit: World, resolution: str, start: str, end: str, starts: list[str]) -> None:
    pulled = await profit.one(export(["TURNOVER"], resolution=resolution), start, end)
    assert [text[:10] for text in pulled.rows.starts] == starts


async def test_weeks_that_begin_on_another_day_than_configured(profit: World) -> None:
    await profit.vendor.set(week_starts="sunday")
    pulled = await profit.one(export(["TURNOVER"], resolution="WEEK"), "2026-06-08", "2026-06-22")
    assert isinstance(pulled.error, ExportRefused)
    assert "week_starts" in str(pulled.error)


async def test_total(profit: World) -> None:
    pulled = await profit.one(export(["TURNOVER"], resolution="TOTAL"), "2026-06-15", "2026-06-17T12:20")
    (found,) = pulled.rows.found
    assert found.bucket is None
    days = await profit.one(export(["TURNOVER"]))
    assert found.metrics["TURNOVER"] == pytest.approx(sum(days.rows.values("TURNOVER")))


async def test_a_comparison(profit: World) -> None:
    pulled = await profit.one(export(["TURNOVER"], compare=Compare(days=7)))
    for found in pulled.rows.found:
        assert found.bucket is not None
        assert found.compare is not None
        assert (found.bucket.start.date() - found.compare.start.date()).days == 7
        value, earlier = found.metrics["TURNOVER"], found.metrics["TURNOVER.compareValue"]
        assert value is not None
        assert earlier is not None
        assert found.metrics["TURNOVER.valueDiff"] == pytest.approx(value - earlier)
        assert "TURNOVER.percentageDiff" in found.metrics
    last_week = await profit.one(export(["TURNOVER"]), "2026-06-08", "2026-06-11")
    assert pulled.rows.values("TURNOVER.compareValue") == last_week.rows.values("TURNOVER")


async def test_a_comparison_of_total(profit: World) -> None:
    compared = export(["TURNOVER"], resolution="TOTAL", compare=Compare(months=1))
    (found,) = (await profit.one(compared)).rows.found
    assert found.compare == window(COPENHAGEN, "2026-05-15", "2026-05-18")
    assert found.metrics["TURNOVER.compareValue"] is not None


async def test_ad_spend_by_channel_has_rows_of_its_own(profit: World) -> None:
    metrics = ["TOTAL_ADSPEND", "ADSPEND_BY_CHANNEL", "GOOGLE_ADSPEND_TIMESTAMP"]
    split = ask(export(metrics, split=["sites"]), "2026-06-15", "2026-06-16", dimensions={"sites": EUROS})
    (pulled,) = await profit.pull(split)
    by_dimensions = {tuple(found.dimensions.items()): found for found in pulled.rows.found}
    own = by_dimensions.pop((("sites", EUROS),))
    assert own.metrics.keys() == {"TOTAL_ADSPEND"}
    assert own.attributes.keys() == {"GOOGLE_ADSPEND_TIMESTAMP"}
    assert own.attributes["GOOGLE_ADSPEND_TIMESTAMP"] == "2026-06-15T23:00:00+02:00"
    assert {dict(key)["channel"] for key in by_dimensions} == {"Google", "Meta", "Bing"}
    assert all(found.metrics.keys() == {"ADSPEND_BY_CHANNEL"} for found in by_dimensions.values())
    told = await profit.vendor.report(metrics, "2026-06-15T00:00:00", "2026-06-16T00:00:00")
    for channel, numbers in told[0]["data"]["ADSPEND_BY_CHANNEL"]["value"].items():
        row = by_dimensions[("sites", EUROS), ("channel", channel)]
        assert row.metrics["ADSPEND_BY_CHANNEL"] == numbers["value"]


async def test_compared_ad_spend_by_channel(profit: World) -> None:
    compared = export(["ADSPEND_BY_CHANNEL"], compare=Compare(days=7))
    pulled = await profit.one(compared, "2026-06-15", "2026-06-16")
    parts = {"", ".compareValue", ".valueDiff", ".percentageDiff"}
    assert len(pulled.rows.found) == 3
    assert all(found.metrics.keys() == {f"ADSPEND_BY_CHANNEL{part}" for part in parts} for found in pulled.rows.found)


async def test_not_available_and_partial_channels(profit: World) -> None:
    metrics = ["META_ROAS", "TURNOVER"]
    without = await profit.one(export(metrics, sites=[KRONER]), "2026-06-15", "2026-06-16")
    (found,) = without.rows.found
    assert found.unavailable == ["META_ROAS"]
    assert found.metrics.keys() == {"TURNOVER"}
    assert without.answer.flags == []
    outer = export(
        metrics, sites=[KRONER], calculateWithNotConfiguredMarketingChannels=True, allowPartialMarketingChannels=True
    )
    partial = await profit.one(outer, "2026-06-15", "2026-06-16")
    assert partial.answer.flags == ["partial_channels"]
    (request,) = (await profit.requests())[1:]
    assert request["body"]["calculateWithNotConfiguredMarketingChannels"] is True
    (report,) = request["body"]["reports"]
    assert report["allowPartialMarketingChannels"] is True
    assert "calculateWithNotConfiguredMarketingChannels" not in report


async def test_null_is_not_0(profit: World) -> None:
    await profit.vendor.set(undefined_ratio="null", sites={EUROS: {"orders_per_hour": 0, "channels": FULLY}})
    (found,) = (await profit.one(export(["TURNOVER", "TURNOVER_AVG"]), "2026-06-15", "2026-06-16")).rows.found
    assert found.metrics == {"TURNOVER": 0, "TURNOVER_AVG": None}
    assert type(found.metrics["TURNOVER"]) is not bool


async def test_several_reports_in_a_request(profit: World) -> None:
    asks = [
        ask(export([metric]), number=number) for number, metric in enumerate(("TURNOVER", "GROSS_PROFIT", "NET_PROFIT"))
    ]
    assert len({profit.source.together(each) for each in asks}) == 1
    pulled = await profit.pull(*asks)
    assert [next(iter(each.rows.found[0].metrics)) for each in pulled] == ["TURNOVER", "GROSS_PROFIT", "NET_PROFIT"]
    (request,) = await profit.requests()
    assert len({report["id"] for report in request["body"]["reports"]}) == 3


async def test_no_more_than_20_reports_in_a_request(profit: World) -> None:
    pulled = await profit.pull(*(ask(export(["TURNOVER"]), number=number) for number in range(45)))
    assert all(len(each.rows.found) == 3 for each in pulled)
    assert [len(request["body"]["reports"]) for request in await profit.requests()] == [20, 20, 5]


def test_what_goes_together(profit: World) -> None:
    flag = "calculateWithNotConfiguredMarketingChannels"
    plain, off, on = (
        profit.source.together(ask(export(["TURNOVER"], flags={flag: value}))) for value in (None, False, True)
    )
    assert plain == off != on
    assert profit.source.together(ask(export(["TURNOVER"], dataset="export"))) is None
    assert profit.source.together(ask(export(dataset="metrics"))) is None


async def _mixed(profit: World) -> list[Pulled]:
    return await profit.pull(
        ask(export(["TURNOVER"]), number=0),
        ask(export(["TURNOVER"], sites=[EUROS, 4711]), number=1),
        ask(export(["GROSS_PROFIT"]), number=2),
    )


async def test_a_forbidden_site_stops_only_its_own_export(profit: World) -> None:
    first, forbidden, third = await _mixed(profit)
    assert isinstance(forbidden.error, ExportRefused)
    assert "NO_ACCESS_TO_SITES" in str(forbidden.error)
    assert "4711" in str(forbidden.error)
    assert len(first.rows.found) == len(third.rows.found) == 3
    assert not forbidden.rows.found
    assert [len(request["body"]["reports"]) for request in await profit.requests()] == [3, 1, 1, 1]


async def test_missing_settings_stop_only_their_own_export(profit: World) -> None:
    await profit.vendor.set(sites={EUROS: {"missing_settings": ["EXPENSES_FIXED"], "channels": FULLY}})
    good, lacking = await profit.pull(ask(export(["TURNOVER"])), ask(export(["TURNOVER", "EXPENSES_FIXED"]), number=1))
    assert len(good.rows.found) == 3
    assert isinstance(lacking.error, ExportRefused)
    assert f"EXPENSES_FIXED at {EUROS}" in str(lacking.error)


async def test_an_unknown_metric_stops_only_its_own_export_and_names_the_nearest(profit: World) -> None:
    good, wrong = await profit.pull(ask(export(["TURNOVER"])), ask(export(["TURNOVR"]), number=1))
    assert len(good.rows.found) == 3
    assert isinstance(wrong.error, ExportRefused)
    assert "TURNOVR (nearest: TURNOVER" in str(wrong.error)
    assert len(await profit.requests()) == 1


async def test_a_bad_key_is_told_once() -> None:
    async with world() as profit:
        await profit.vendor.set(revoked_keys=[KEY])
        with pytest.raises(AccountRefused, match="401"):
            await _mixed(profit)


async def test_a_key_refused_in_the_midst_ends_the_rest(profit: World) -> None:
    await profit.one(export(["TURNOVER"]))
    await profit.vendor.set(unscoped_keys=[KEY])
    pulled = await profit.pull(*(ask(export(["TURNOVER"]), number=number) for number in range(25)))
    assert all(isinstance(each.error, AccountRefused) for each in pulled)
    assert len(await profit.requests()) == 2


async def test_busy_is_the_whole_accounts(profit: World) -> None:
    await profit.one(export(["TURNOVER"]))
    busy = {"effect": "status", "status": 599, "path": "*/data/reports", "headers": {"Retry-After": "7"}}
    await profit.vendor.fault(busy)
    pulled = await _mixed(profit)
    errors = [each.error for each in pulled]
    assert all(isinstance(error, Retryable) and error.whole_account and error.retry_after == 7 for error in errors)
    assert len(await profit.requests()) == 2


async def test_a_report_that_cannot_be_processed_holds_up_no_other(profit: World) -> None:
    await profit.one(export(["TURNOVER"]))
    failed = {"success": False, "errorCode": "FAILED_TO_PROCESS_REPORT", "errorDetails": None}
    await profit.vendor.fault({"effect": "status", "status": 500, "path": "*/data/reports", "times": 2, "body": failed})
    first, second = await profit.pull(ask(export(["TURNOVER"])), ask(export(["NET_PROFIT"]), number=1))
    assert isinstance(first.error, Retryable)
    assert not isinstance(first.error, ExportRefused)
    assert len(second.rows.found) == 3


@pytest.mark.parametrize("cut", [10, 500, 900])
async def test_an_answer_that_breaks_off_is_no_answer(profit: World, cut: int) -> None:
    await profit.vendor.set(cut_bytes=cut)
    pulled = await profit.one(export(["TURNOVER", "GROSS_PROFIT", "NET_PROFIT", "TOTAL_ADSPEND"]))
    assert isinstance(pulled.error, Retryable)


async def test_what_is_cut_off_silently_is_asked_for(profit: World) -> None:
    compared = export(["TURNOVER"], compare=Compare(days=7))
    whole = await profit.one(compared)
    await profit.vendor.set(truncate_buckets=1)
    monthly = export(["GROSS_PROFIT"], resolution="MONTH")
    pulled, other = await profit.pull(ask(compared), ask(monthly, "2026-06-01", "2026-07-01", number=1))
    assert pulled.answer.whole
    assert pulled.rows.by_key == whole.rows.by_key
    assert len(other.rows.found) == 1
    assert [len(request["body"]["reports"]) for request in await profit.requests()] == [1, 2, 1, 1]


async def test_a_vendor_that_leaves_empty_buckets_out_is_asked_once_more_and_no_oftener(profit: World) -> None:
    await profit.vendor.set(vanished=[{"from": at(2026, 6, 16), "to": at(2026, 6, 30)}])
    pulled = await profit.one(export(["TURNOVER"]))
    assert pulled.rows.starts == ["2026-06-15T00:00:00+02:00", "2026-06-16T00:00:00+02:00"]
    assert len(await profit.requests()) <= 2
    assert pulled.answer.whole


@pytest.mark.parametrize("narrow", [True, False])
async def test_the_beginning_is_the_first_order_of_these_sites(profit: World, narrow: bool) -> None:  # noqa: FBT001  # a case
    first_orders = {EUROS: {"first_order": at(2026, 5, 3)}, KRONER: {"first_order": at(2026, 5, 9, 23)}}
    await profit.vendor.set(sites=first_orders)
    sites = [KRONER] if narrow else [EUROS, KRONER]
    first = await profit.source.beginning(ask(export(["TURNOVER"], sites=sites)))
    assert first.isoformat() == ("2026-05-10" if narrow else "2026-05-03")


async def test_without_orders_the_beginning_is_today(profit: World) -> None:
    await profit.vendor.set(sites={EUROS: {"first_order": None}})
    assert (await profit.source.beginning(ask(export(["TURNOVER"])))).isoformat() == "2026-06-17"


async def test_sources_share_nothing(profit: World) -> None:
    await profit.vendor.set(labels={"BRAND_NEW": "Brand new"})
    other = World(profit.vendor)
    assert len((await other.one(export(["BRAND_NEW"]))).rows.found) == 3
