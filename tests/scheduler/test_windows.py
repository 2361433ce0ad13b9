"""What a pull covers: whole buckets, the running one last, the newest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import process_time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from runtime.settings import AccountSettings, ExportSettings
from scheduler.buckets import buckets, widened
from scheduler.plan import Plan, Shape, Window
from scheduler.windows import days, final, lookback, slices

if TYPE_CHECKING:
    from scheduler.buckets import WeekStart
    from schemas.exports import Resolution

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
NOW = datetime(2026, 11, 19, 14, 30, tzinfo=COPENHAGEN)
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")


def plan(
    resolution: Resolution = "DAY",
    *,
    back: str = "3d",
    most: int | None = None,
    axis: bool = True,
    zone: ZoneInfo = COPENHAGEN,
    week_starts: WeekStart = "monday",
) -> Plan:
    account = AccountSettings(
        name="a", source="profitmetrics", url="http://127.0.0.1", api_key=SecretStr("k"), week_starts=week_starts
    )
    export = ExportSettings.model_validate(
        {"name": "e", "account": "a", "dataset": "d", "every": "1h", "timezone": zone.key, "lookback": back}
    )
    return Plan(export, account, Shape(resolution, zone, time_axis=axis, max_buckets=most))


@pytest.mark.parametrize(
    ("resolution", "start", "end"),
    [
        ("DAY", "2026-11-16T00:00:00+01:00", "2026-11-20T00:00:00+01:00"),
        ("HOUR", "2026-11-16T00:00:00+01:00", "2026-11-19T15:00:00+01:00"),
        ("WEEK", "2026-11-16T00:00:00+01:00", "2026-11-23T00:00:00+01:00"),
        ("MONTH", "2026-11-01T00:00:00+01:00", "2026-12-01T00:00:00+01:00"),
        ("TOTAL", "2026-11-16T00:00:00+01:00", "2026-11-19T14:30:00+01:00"),
    ],
)
def test_a_lookback_is_widened_to_whole_buckets(resolution: Resolution, start: str, end: str) -> None:
    window = lookback(plan(resolution), NOW, None)
    assert (window.start.isoformat(), window.end.isoformat()) == (start, end)


def test_weeks_begin_on_the_accounts_day() -> None:
    window = lookback(plan("WEEK", week_starts="sunday"), NOW, None)
    assert (window.start.isoformat(), window.end.isoformat()) == (
        "2026-11-15T00:00:00+01:00",
        "2026-11-22T00:00:00+01:00",
    )


@pytest.mark.parametrize("resolution", ["WEEK", "MONTH", "QUARTER", "YEAR"])
def test_a_short_lookback_never_asks_for_part_of_a_bucket_that_is_over(resolution: Resolution) -> None:
    for days_on in range(400):
        now = NOW + timedelta(days=days_on)
        window = lookback(plan(resolution, back="1d"), now, None)
        over = final(window, plan(resolution), now)
        assert window.start <= now < window.end
        assert list(slices(window, plan(resolution))) == [window]
        assert over is None or over.start == window.start


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        ("2026-10-25T00:30:00Z", "2026-10-24T00:00:00+02:00", "2026-10-25T02:00:00+01:00"),  # the first hour of two
        ("2026-10-25T00:59:59Z", "2026-10-24T00:00:00+02:00", "2026-10-25T02:00:00+01:00"),
        ("2026-10-25T01:30:00Z", "2026-10-24T00:00:00+02:00", "2026-10-25T03:00:00+01:00"),  # the second
        ("2026-10-25T02:00:00Z", "2026-10-24T00:00:00+02:00", "2026-10-25T04:00:00+01:00"),
        ("2026-03-29T00:59:59.5Z", "2026-03-28T00:00:00+01:00", "2026-03-29T03:00:00+02:00"),
        ("2026-03-29T01:00:00Z", "2026-03-28T00:00:00+01:00", "2026-03-29T04:00:00+02:00"),
    ],
)
def test_a_lookback_ends_with_the_running_hour_when_clocks_change(now: str, start: str, end: str) -> None:
    window = lookback(plan("HOUR", back="1d"), datetime.fromisoformat(now), None)
    assert (window.start.isoformat(), window.end.isoformat()) == (start, end)


def test_a_lookback_may_reach_to_the_vendors_beginning() -> None:
    beginning = datetime(2026, 11, 11, tzinfo=COPENHAGEN)
    window = lookback(plan("WEEK"), NOW, beginning)
    assert window.start.isoformat() == "2026-11-09T00:00:00+01:00"
    assert lookback(plan("TOTAL"), NOW, beginning).start == beginning


def test_only_what_is_over_is_final() -> None:
    window = lookback(plan(), NOW, None)
    over = final(window, plan(), NOW)
    assert over is not None
    assert over.end.isoformat() == "2026-11-19T00:00:00+01:00"
    assert final(Window(over.end, window.end), plan(), NOW) is None
    assert final(window, plan("TOTAL"), NOW) is None


@pytest.mark.parametrize(
    ("resolution", "start", "end"), [("WEEK", "2026-10-19", "2026-11-16"), ("MONTH", "2026-11-01", "2026-11-01")]
)
def test_only_whole_buckets_are_final(resolution: Resolution, start: str, end: str) -> None:
    clamped = Window(datetime(2026, 10, 14, tzinfo=COPENHAGEN), datetime(2026, 11, 18, tzinfo=COPENHAGEN))
    over = final(clamped, plan(resolution), NOW)
    assert (over is None) == (start == end)
    assert over is None or (f"{over.start.date()}", f"{over.end.date()}") == (start, end)


def test_slices_are_as_large_as_may_be_and_the_newest_comes_first() -> None:
    window = days(plan(), "2026-10-20", "2026-10-29")
    found = list(slices(window, plan(most=4)))
    assert [(each.start.day, each.end.day) for each in found] == [(26, 30), (22, 26), (20, 22)]
    assert [each.start.day for each in slices(window, plan(axis=False))] == [29, 28, 27, 26, 25, 24, 23, 22, 21, 20]


def test_days_are_whole_buckets_too() -> None:
    month = days(plan("MONTH"), "2026-02-10", "2026-03-01")
    assert (month.start.isoformat(), month.end.isoformat()) == (
        "2026-02-01T00:00:00+01:00",
        "2026-04-01T00:00:00+02:00",
    )
    total = days(plan("TOTAL"), "2026-03-29", "2026-03-29")
    assert (total.start.isoformat(), total.end.isoformat()) == (
        "2026-03-29T00:00:00+01:00",
        "2026-03-30T00:00:00+02:00",
    )


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001  # given a zone at once
    st.integers(1, 5_000),
    st.sampled_from(["HOUR", "DAY", "WEEK", "MONTH"]),
    st.none() | st.integers(1, 60),
    st.sampled_from([COPENHAGEN, LORD_HOWE]),
)
@settings(max_examples=60)
def test_slices_tile_their_window(
    begin: datetime, hours: int, resolution: Resolution, most: int | None, zone: ZoneInfo
) -> None:
    of = plan(resolution, most=most, zone=zone)
    length = timedelta(hours=hours if resolution != "HOUR" else hours // 25 + 1)
    window = widened(Window(begin.replace(tzinfo=UTC), begin.replace(tzinfo=UTC) + length), resolution, zone)
    found = list(slices(window, of))
    assert found[0].end == window.end
    assert found[-1].start == window.start
    assert all(later.start == earlier.end for later, earlier in pairwise(found))
    counts = [len(list(buckets(each, resolution, zone))) for each in found]
    assert sum(counts) == len(list(buckets(window, resolution, zone)))
    assert all(count == most for count in counts[:-1])
    assert counts[-1] <= (most or counts[-1])
    assert len(list(slices(window, plan(resolution, axis=False, zone=zone)))) == sum(counts)


def test_the_newest_slice_costs_no_more_for_a_long_history() -> None:
    history = Window(datetime(1990, 1, 1, tzinfo=COPENHAGEN), NOW)
    began = process_time()
    newest = next(slices(history, plan("HOUR", most=744)))
    assert process_time() - began < 0.2  # all the hours take seconds
    assert newest.end.isoformat() == "2026-11-19T15:00:00+01:00"
    assert len(list(buckets(newest, "HOUR", COPENHAGEN))) == 744
