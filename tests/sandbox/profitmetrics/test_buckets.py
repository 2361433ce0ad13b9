"""Buckets in the asked zone: days of 23 and 25 hours, the repeated hour, weeks, months, parts."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from sandbox.profitmetrics.calendar import Bucket, Calendar, Period, Resolution

if TYPE_CHECKING:
    from sandbox.profitmetrics.switches import Weekday


def buckets(
    zone: str, start: str, end: str, resolution: Resolution, week_starts: Weekday = "monday"
) -> tuple[Calendar, list[Bucket]]:
    calendar = Calendar(ZoneInfo(zone), week_starts)
    span = Period(calendar.instant(datetime.fromisoformat(start)), calendar.instant(datetime.fromisoformat(end)))
    found = list(calendar.buckets(span, resolution))
    # They cover the period without gap or overlap.
    assert [bucket.end for bucket in found] == [*(bucket.start for bucket in found[1:]), span.end]
    assert found[0].start == span.start
    return calendar, found


CHANGES = [
    ("Europe/Copenhagen", "2026-03-29", "2026-03-30", 23, []),
    ("Europe/Copenhagen", "2026-10-25", "2026-10-26", 25, ["02:00"]),
    ("America/New_York", "2026-03-08", "2026-03-09", 23, []),
    ("America/New_York", "2026-11-01", "2026-11-02", 25, ["01:00"]),
    ("Asia/Kolkata", "2026-03-29", "2026-03-30", 24, []),
    ("Asia/Kathmandu", "2026-03-29", "2026-03-30", 24, []),
]


@pytest.mark.parametrize(("zone", "day", "after", "hours", "twice"), CHANGES)
def test_the_day_that_the_clocks_change(zone: str, day: str, after: str, hours: int, twice: list[str]) -> None:
    _, found = buckets(zone, day, after, "HOUR")
    clock = [bucket.local.strftime("%H:%M") for bucket in found]
    assert len(found) == hours
    assert all(bucket.end - bucket.start == 3600 for bucket in found)
    assert sorted(clock) == clock
    assert [one for one, following in pairwise(clock) if one == following] == twice
    _, (whole,) = buckets(zone, day, after, "DAY")
    assert (whole.local, whole.end - whole.start) == (datetime.fromisoformat(day), hours * 3600)


def test_where_the_clock_moves_by_half_an_hour() -> None:
    _, found = buckets("Australia/Lord_Howe", "2026-04-05", "2026-04-06", "HOUR")
    lengths = [bucket.end - bucket.start for bucket in found]
    assert sum(lengths) == 24.5 * 3600
    assert set(lengths) == {3600, 1800}


def test_a_day_without_midnight() -> None:
    calendar, found = buckets("Africa/Cairo", "2026-04-23", "2026-04-26", "DAY")
    assert [bucket.end - bucket.start for bucket in found] == [24 * 3600, 23 * 3600, 24 * 3600]
    assert calendar.local(found[1].start) == datetime.fromisoformat("2026-04-24T01:00")
    assert found[1].local == datetime.fromisoformat("2026-04-24")


def test_months() -> None:
    _, found = buckets("Europe/Copenhagen", "2025-12-31T10:00", "2026-03-15", "MONTH")
    assert [bucket.local.isoformat() for bucket in found] == [
        "2025-12-01T00:00:00",
        "2026-01-01T00:00:00",
        "2026-02-01T00:00:00",
        "2026-03-01T00:00:00",
    ]
    assert found[0].end - found[0].start == 14 * 3600


@pytest.mark.parametrize(
    ("starts", "first"),
    [("monday", "2026-06-15"), ("sunday", "2026-06-14"), ("wednesday", "2026-06-17"), ("thursday", "2026-06-11")],
)
def test_weeks(starts: Weekday, first: str) -> None:
    _, found = buckets("Europe/Copenhagen", "2026-06-17", "2026-06-27", "WEEK", starts)
    assert found[0].local == datetime.fromisoformat(first)
    assert all(bucket.end - bucket.start == 7 * 86400 for bucket in found[1:-1])


def test_the_total_begins_with_its_period() -> None:
    _, (total,) = buckets("Europe/Copenhagen", "2026-06-17T10:12:13", "2026-06-18", "TOTAL")
    assert total.local == datetime.fromisoformat("2026-06-17T10:12:13")


def test_today_begins_at_the_zones_midnight() -> None:
    calendar = Calendar(ZoneInfo("Europe/Copenhagen"), "monday")
    noon = calendar.instant(datetime.fromisoformat("2026-03-30T12:00"))
    assert noon - calendar.midnight(noon) == 12 * 3600
    assert noon - calendar.midnight(noon, 1) == 35 * 3600
    assert calendar.local(calendar.midnight(noon, 10**9)).year == 1970
