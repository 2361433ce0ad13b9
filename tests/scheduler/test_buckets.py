"""Buckets in zones whose clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.spans import Compare
from scheduler.buckets import buckets, day_start, floor, following, shifted, widened
from scheduler.plan import Window

if TYPE_CHECKING:
    from schemas.exports import Resolution

COPENHAGEN, NEW_YORK = ZoneInfo("Europe/Copenhagen"), ZoneInfo("America/New_York")
ZONES = [
    COPENHAGEN,
    NEW_YORK,
    *map(ZoneInfo, ("UTC", "Asia/Kolkata", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe")),
]
RESOLUTIONS: list[Resolution] = ["HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"]
INSTANTS = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001  # given a zone at once


def _day(zone: ZoneInfo, day: str) -> Window:
    first = date.fromisoformat(day)
    return Window(day_start(first, zone), day_start(first + timedelta(days=1), zone))


@pytest.mark.parametrize(
    ("zone", "day", "hours", "offsets"),
    [
        (COPENHAGEN, "2026-03-29", 23, ("+01:00", "+02:00")),
        (COPENHAGEN, "2026-10-25", 25, ("+02:00", "+01:00")),
        (NEW_YORK, "2026-03-08", 23, ("-05:00", "-04:00")),
        (NEW_YORK, "2026-11-01", 25, ("-04:00", "-05:00")),
        (COPENHAGEN, "2026-06-01", 24, ("+02:00", "+02:00")),
    ],
)
def test_the_days_on_which_clocks_change(zone: ZoneInfo, day: str, hours: int, offsets: tuple[str, str]) -> None:
    found = list(buckets(_day(zone, day), "HOUR", zone))
    assert len(found) == hours
    assert (found[0].start.isoformat()[-6:], found[-1].end.isoformat()[-6:]) == offsets
    assert list(buckets(_day(zone, day), "DAY", zone)) == [_day(zone, day)]


def test_the_hour_that_comes_twice_is_two_buckets() -> None:
    found = [bucket.start.isoformat() for bucket in buckets(_day(COPENHAGEN, "2026-10-25"), "HOUR", COPENHAGEN)]
    assert found[2:4] == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T01:00:00-02:00"),  # midnight is jumped over
        ("Asia/Beirut", "2022-03-27", "2022-03-27T01:00:00+03:00"),
        ("America/Havana", "2025-11-02", "2025-11-02T00:00:00-04:00"),  # midnight comes twice
    ],
)
def test_a_day_begins_at_its_first_instant(zone: str, day: str, start: str) -> None:
    assert day_start(date.fromisoformat(day), ZoneInfo(zone)).isoformat() == start


@given(INSTANTS, st.sampled_from(RESOLUTIONS), st.sampled_from(ZONES))
def test_every_instant_is_in_the_bucket_that_begins_at_its_floor(
    instant: datetime, resolution: Resolution, zone: ZoneInfo
) -> None:
    start = floor(instant, resolution, zone)
    after = following(start, resolution, zone)
    assert start.astimezone(UTC) <= instant < after.astimezone(UTC)
    assert floor(start, resolution, zone) == start
    assert floor(after, resolution, zone).astimezone(UTC) == after.astimezone(UTC)


@given(INSTANTS, st.integers(0, 90), st.sampled_from(RESOLUTIONS), st.sampled_from(ZONES))
def test_buckets_tile_their_window(begin: datetime, days: int, resolution: Resolution, zone: ZoneInfo) -> None:
    window = widened(
        Window(begin, begin + timedelta(days=days if resolution != "HOUR" else days // 30)), resolution, zone
    )
    at = window.start.astimezone(UTC)
    for bucket in buckets(window, resolution, zone):
        assert bucket.start.astimezone(UTC) == at
        at = bucket.end.astimezone(UTC)
    assert at == window.end.astimezone(UTC)


def test_weeks_begin_on_the_day_that_is_said() -> None:
    thursday = datetime(2026, 11, 19, 12, tzinfo=COPENHAGEN)
    assert floor(thursday, "WEEK", COPENHAGEN).date() == date(2026, 11, 16)
    assert floor(thursday, "WEEK", COPENHAGEN, week_starts="sunday").date() == date(2026, 11, 15)


@pytest.mark.parametrize(
    ("compare", "day", "earlier"),
    [
        (Compare(days=7), "2026-03-31", "2026-03-24"),
        (Compare(months=1), "2026-03-31", "2026-02-28"),
        (Compare(months=12), "2024-02-29", "2023-02-28"),
    ],
)
def test_what_is_compared_with_lies_earlier_by_the_calendar(compare: Compare, day: str, earlier: str) -> None:
    found = shifted(_day(COPENHAGEN, day), compare)
    assert found.start == _day(COPENHAGEN, earlier).start


@pytest.mark.parametrize("resolution", ["TOTAL", "NONE"])
def test_what_has_no_buckets_is_refused(resolution: Resolution) -> None:
    with pytest.raises(ValueError, match="no buckets"):
        floor(datetime.now(UTC), resolution, COPENHAGEN)
