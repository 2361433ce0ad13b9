"""What the vendor left out, and how far back it goes."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from scheduler.errors import Retryable
from tests.scheduler.far_side import Say
from tests.scheduler.sources.tolinku.world import Asking, ask, days, export

if TYPE_CHECKING:
    import aiohttp

    from runtime.settings import ExportSettings
    from tests.scheduler.far_side import FarSide


def series(*dates: str, echo: int | None) -> Say:
    body: dict[str, Any] = {"series": [{"date": day, "revenue": 1, "orders": 1} for day in dates]}
    return Say(body=body if echo is None else body | {"days": echo})


@pytest.mark.parametrize("echo", [10, 30, None])
async def test_an_echo_of_all_days_or_more_is_no_clamp(far_side: FarSide, asking: Asking, echo: int | None) -> None:
    far_side.say(series("2026-02-05", echo=echo))

    answer, _ = await asking.one(export("revenue-timeseries"), days("2026-02-01", "2026-02-11"))

    assert (answer.whole, answer.covered, list(answer.flags)) == (True, None, [])


async def test_fewer_days_than_asked_for_are_a_clamp_of_the_front(far_side: FarSide, asking: Asking) -> None:
    far_side.say(series("2026-02-05", echo=7))

    answer, rows = await asking.one(export("revenue-timeseries"), days("2026-02-01", "2026-02-11"))

    assert (answer.whole, list(answer.flags)) == (False, ["clamped"])
    assert answer.covered == days("2026-02-04", "2026-02-11")
    assert rows.days == ["2026-02-05T00:00:00+00:00"]


async def test_a_day_that_has_a_row_was_answered_whatever_the_echo_counts(far_side: FarSide, asking: Asking) -> None:
    far_side.say(series("2026-02-02", "2026-02-05", echo=7), series("2026-02-01", echo=7))

    partly, _ = await asking.one(export("revenue-timeseries"), days("2026-02-01", "2026-02-11"))
    wholly, _ = await asking.one(export("revenue-timeseries"), days("2026-02-01", "2026-02-11"))

    assert partly.covered == days("2026-02-02", "2026-02-11")
    assert (wholly.whole, wholly.covered) == (True, None)


async def test_a_bucket_of_which_nothing_was_answered_has_no_row_and_is_not_covered(
    far_side: FarSide, asking: Asking
) -> None:
    far_side.say(Say(body={"total_revenue": 0, "days": 0}))

    answer, rows = await asking.one(export())

    assert (answer.whole, list(answer.flags), rows.found) == (False, ["clamped"], [])
    assert answer.covered == days("2026-02-10", "2026-02-10")


async def test_a_bucket_of_which_a_part_was_answered_has_a_row_that_says_so(far_side: FarSide, asking: Asking) -> None:
    far_side.say(Say(body={"total_revenue": 7, "days": 3.0}))

    answer, rows = await asking.one(export(resolution="WEEK"), days("2026-01-26", "2026-02-02"))

    assert (answer.whole, list(answer.flags)) == (False, ["clamped"])
    assert [metrics for _, metrics in rows.metrics] == [{"total_revenue": 7}]
    assert answer.covered == days("2026-01-30", "2026-02-02")


@pytest.mark.parametrize(
    ("settings", "rows", "flags"),
    [
        (export("top-products"), 19, []),
        (export("top-products"), 20, ["truncated"]),
        (export("top-products", query={"limit": 5}), 4, []),
        (export("top-products", query={"limit": 5}), 5, ["truncated"]),
        (export("revenue-by-coupon"), 20, []),
    ],
)
async def test_as_many_rows_as_the_limit_may_not_be_all(
    far_side: FarSide, asking: Asking, settings: ExportSettings, rows: int, flags: list[str]
) -> None:
    name, identity = ("products", "item_id") if settings.dataset == "top-products" else ("coupons", "coupon_code")
    far_side.say(Say(body={name: [{identity: str(number), "revenue": 1} for number in range(rows)], "days": 1}))

    answer, sink = await asking.one(settings)

    assert (answer.whole, list(answer.flags)) == (not flags, flags)
    assert len(sink.found) == rows


@pytest.mark.parametrize(
    ("query", "echo", "flags"),
    [
        ({"days": 90}, 90, []),
        ({"days": 90}, 7, ["clamped"]),
        ({"start": "2026-01-01", "end": "2026-01-31"}, 31, []),
        ({"start": date(2026, 1, 1), "end": "2026-01-31"}, 7, ["clamped"]),
        ({}, 7, []),
    ],
)
async def test_dates_of_the_query_are_sent_as_they_are(
    far_side: FarSide, asking: Asking, query: dict[str, Any], echo: int, flags: list[str]
) -> None:
    far_side.say(series("2026-01-02", "2025-01-01", echo=echo))

    answer, rows = await asking.one(export("revenue-timeseries", lookback="query", query=query))

    assert dict(far_side.got[0].query) == {name: str(value) for name, value in query.items()}
    assert (answer.whole, answer.covered, list(answer.flags)) == (not flags, None, flags)
    assert len(rows.found) == 2


async def test_an_exclusive_end_is_the_day_after(far_side: FarSide, session: aiohttp.ClientSession) -> None:
    asking = Asking(far_side.url, session, end_inclusive=False)
    far_side.say(series("2026-02-08", "2026-02-09", "2026-02-10", echo=2))

    answer, rows = await asking.one(export("revenue-timeseries"), days("2026-02-08", "2026-02-10"))

    assert (far_side.got[0].query["start"], far_side.got[0].query["end"]) == ("2026-02-08", "2026-02-10")
    assert rows.days == ["2026-02-08T00:00:00+00:00", "2026-02-09T00:00:00+00:00"], "the day too many is left out"
    assert answer.whole


async def test_the_beginning_is_what_the_plan_keeps(far_side: FarSide, asking: Asking) -> None:
    far_side.say(Say(body={"total_revenue": 1, "days": 180}))

    assert await asking.source.beginning(ask(export("cohorts"))) == date(2025, 8, 14)

    (got,) = far_side.got
    assert got.target.endswith("/overview?days=3650")


@pytest.mark.parametrize("body", [{"total_revenue": 1}, {"days": "180"}, {"days": 0}])
async def test_a_beginning_that_is_not_told_is_asked_for_again(
    far_side: FarSide, asking: Asking, body: dict[str, Any]
) -> None:
    far_side.say(Say(body=body))

    with pytest.raises(Retryable, match="days"):
        await asking.source.beginning(ask(export()))
