"""Buckets in zones whose clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.spans import Compare
from scheduler.buckets import HOUR, buckets, day_start, floor, following, preceding, shifted, widened
from scheduler.plan import Window

if TYPE_CHECKING:
    from scheduler.buckets import WeekStart
    from schemas.exports import Resolution

COPENHAGEN, NEW_YORK = ZoneInfo("Europe/Copenhagen"), ZoneInfo("America/New_York")
ZONES = [
    COPENHAGEN,
    NEW_YORK,
    *map(
        ZoneInfo,
        (
            "UTC",
            "Asia/Kolkata",
            "Asia/Kathmandu",
            "Asia/Beirut",
            "America/Havana",
            "America/Sao_Paulo",
            "America/St_Johns",  # until 2011 put back at one past midnight
            "Atlantic/Azores",
            "Australia/Lord_Howe",  # by half an hour
            "Pacific/Apia",  # without 30 December 2011
        ),
    ),
]
WEEK_STARTS: list[WeekStart] = ["monday", "sunday"]
RESOLUTIONS: list[Resolution] = ["HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"]
FIRST, LAST = datetime(2008, 1, 1, tzinfo=UTC), datetime(2035, 1, 1, tzinfo=UTC)


def _changes(zone: ZoneInfo) -> list[datetime]:
    """Return the days (their starts in UTC) after which a clock is changed: chance would seldom find them."""
    days = [FIRST + timedelta(days=number) for number in range(366 * 8)]
    return [
        day
        for day in days
        if day.astimezone(zone).utcoffset() != (day + timedelta(days=1)).astimezone(zone).utcoffset()
    ]


CHANGES = [(zone, day) for zone in ZONES for day in _changes(zone)]
MOMENTS = st.tuples(st.sampled_from(ZONES), st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None))).map(
    lambda drawn: (drawn[0], drawn[1].replace(tzinfo=UTC))
) | st.tuples(st.sampled_from(CHANGES), st.integers(0, 2 * 86_400)).map(
    lambda drawn: (drawn[0][0], drawn[0][1] + timedelta(seconds=drawn[1] - 43_200))
)


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
        ("Africa/Cairo", "2026-04-24", "2026-04-24T01:00:00+03:00"),
        ("America/Toronto", "1919-03-31", "1919-03-31T00:30:00-04:00"),  # jumped over from before
        ("Pacific/Apia", "2011-12-30", "2011-12-31T00:00:00+14:00"),  # there is no such day
        ("America/Havana", "2025-11-02", "2025-11-02T00:00:00-04:00"),  # midnight comes twice
        ("Atlantic/Azores", "2025-10-26", "2025-10-26T00:00:00+00:00"),
        ("America/St_Johns", "2010-11-07", "2010-11-07T00:00:00-02:30"),
    ],
)
def test_a_day_begins_at_its_first_instant(zone: str, day: str, start: str) -> None:
    assert day_start(date.fromisoformat(day), ZoneInfo(zone)).isoformat() == start


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Australia/Lord_Howe", "2025-10-05", ["01:00+10:30", "02:30+11:00", "03:00+11:00"]),
        ("Australia/Lord_Howe", "2025-04-06", ["01:00+11:00", "01:30+10:30", "02:00+10:30", "03:00+10:30"]),
        ("Asia/Kolkata", "2025-04-06", ["01:00+05:30", "02:00+05:30", "03:00+05:30"]),
        ("America/St_Johns", "2010-03-14", ["00:00-03:30", "01:01-02:30", "02:00-02:30", "03:00-02:30"]),
    ],
)
def test_hours_are_cut_where_the_clock_is_put_off_the_full_hour(zone: str, day: str, hours: list[str]) -> None:
    found = [bucket.start.isoformat() for bucket in buckets(_day(ZoneInfo(zone), day), "HOUR", ZoneInfo(zone))]
    clocks = [f"{start[11:16]}{start[19:]}" for start in found]
    assert clocks[clocks.index(hours[0]) :][: len(hours)] == hours


def test_a_day_goes_on_when_the_clock_is_put_back_into_the_one_before() -> None:
    zone = ZoneInfo("America/St_Johns")
    back = datetime(2010, 11, 6, 23, 30, fold=1, tzinfo=zone)
    assert floor(back, "DAY", zone).isoformat() == "2010-11-07T00:00:00-02:30"
    assert preceding(floor(back, "DAY", zone), "DAY", zone).isoformat() == "2010-11-06T00:00:00-02:30"


@given(MOMENTS, st.sampled_from(RESOLUTIONS), st.sampled_from(WEEK_STARTS))
def test_every_instant_is_in_the_bucket_that_begins_at_its_floor(
    moment: tuple[ZoneInfo, datetime], resolution: Resolution, week_starts: WeekStart
) -> None:
    zone, instant = moment
    start = floor(instant, resolution, zone, week_starts=week_starts)
    after = following(start, resolution, zone, week_starts=week_starts)
    assert start.astimezone(UTC) <= instant < after.astimezone(UTC)
    for each in (start, after):
        again = floor(each, resolution, zone, week_starts=week_starts)
        assert (again.isoformat(), again.tzinfo) == (each.isoformat(), zone)
    last = after.astimezone(UTC) - timedelta(microseconds=1)
    assert floor(last, resolution, zone, week_starts=week_starts).isoformat() == start.isoformat()
    assert preceding(after, resolution, zone, week_starts=week_starts).isoformat() == start.isoformat()
    assert resolution != "HOUR" or after.astimezone(UTC) - start.astimezone(UTC) <= HOUR


@given(MOMENTS, st.integers(0, 90), st.sampled_from(RESOLUTIONS))
def test_buckets_tile_their_window(moment: tuple[ZoneInfo, datetime], days: int, resolution: Resolution) -> None:
    zone, begin = moment
    length = timedelta(days=days if resolution != "HOUR" else days // 30)
    window = widened(Window(begin, begin + length), resolution, zone)
    assert window.start.astimezone(UTC) <= begin
    assert begin + length <= window.end.astimezone(UTC)
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
    ("first", "resolution", "after"),
    [
        ("2024-02-28", "DAY", "2024-02-29"),
        ("2024-02-29", "DAY", "2024-03-01"),
        ("2024-02-01", "MONTH", "2024-03-01"),
        ("2023-12-01", "MONTH", "2024-01-01"),
        ("2023-10-01", "QUARTER", "2024-01-01"),
        ("2024-02-26", "WEEK", "2024-03-04"),
        ("2024-01-01", "YEAR", "2025-01-01"),
    ],
)
def test_months_and_leap_days(first: str, resolution: Resolution, after: str) -> None:
    assert following(_day(NEW_YORK, first).start, resolution, NEW_YORK) == _day(NEW_YORK, after).start


@pytest.mark.parametrize(
    ("compare", "window", "earlier"),
    [
        (Compare(days=7), ("2026-03-31", "2026-04-01"), ("2026-03-24", "2026-03-25")),
        (Compare(days=364), ("2026-10-25", "2026-10-26"), ("2025-10-26", "2025-10-27")),
        (Compare(months=1), ("2026-03-28", "2026-03-29"), ("2026-02-28", "2026-03-01")),
        (Compare(months=1), ("2026-03-30", "2026-03-31"), ("2026-02-28", "2026-03-01")),
        (Compare(months=1), ("2026-03-31", "2026-04-01"), ("2026-02-28", "2026-03-01")),
        (Compare(months=1), ("2026-02-28", "2026-03-01"), ("2026-01-28", "2026-01-29")),
        (Compare(months=1), ("2026-03-29", "2026-04-02"), ("2026-02-28", "2026-03-02")),
        (Compare(months=1), ("2026-03-01", "2026-04-01"), ("2026-02-01", "2026-03-01")),
        (Compare(months=1), ("2026-02-01", "2026-03-01"), ("2026-01-01", "2026-02-01")),
        (Compare(months=12), ("2024-02-29", "2024-03-01"), ("2023-02-28", "2023-03-01")),
        (Compare(months=12), ("2025-02-28", "2025-03-01"), ("2024-02-28", "2024-02-29")),
        (Compare(months=12), ("2026-01-01", "2027-01-01"), ("2025-01-01", "2026-01-01")),
    ],
)
def test_what_days_are_compared_with_lies_earlier_by_the_calendar(
    compare: Compare, window: tuple[str, str], earlier: tuple[str, str]
) -> None:
    found = shifted(Window(*(_day(COPENHAGEN, day).start for day in window)), compare)
    assert [found.start, found.end] == [_day(COPENHAGEN, day).start for day in earlier]


@pytest.mark.parametrize(
    ("zone", "compare", "window", "earlier"),
    [
        (  # each of the two hours with the one
            COPENHAGEN,
            Compare(days=7),
            ("2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"),
            ("2026-10-18T02:00:00+02:00", "2026-10-18T03:00:00+02:00"),
        ),
        (
            COPENHAGEN,
            Compare(days=7),
            ("2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"),
            ("2026-10-18T02:00:00+02:00", "2026-10-18T03:00:00+02:00"),
        ),
        (  # the one with both
            COPENHAGEN,
            Compare(days=7),
            ("2026-11-01T02:00:00+01:00", "2026-11-01T03:00:00+01:00"),
            ("2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+01:00"),
        ),
        (  # the second with the second
            COPENHAGEN,
            Compare(days=364),
            ("2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"),
            ("2025-10-26T02:00:00+01:00", "2025-10-26T03:00:00+01:00"),
        ),
        (  # one that was jumped over
            COPENHAGEN,
            Compare(days=7),
            ("2026-04-05T02:00:00+02:00", "2026-04-05T03:00:00+02:00"),
            ("2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"),
        ),
        (  # days that have but one to be compared with, the last of them running
            COPENHAGEN,
            Compare(months=1),
            ("2026-03-28T00:00:00+01:00", "2026-03-31T09:00:00+02:00"),
            ("2026-02-28T00:00:00+01:00", "2026-03-01T00:00:00+01:00"),
        ),
        (
            COPENHAGEN,
            Compare(months=1),
            ("2026-03-30T10:00:00+02:00", "2026-03-31T09:00:00+02:00"),
            ("2026-02-28T00:00:00+01:00", "2026-03-01T00:00:00+01:00"),
        ),
        (  # a day that begins at one
            ZoneInfo("America/Sao_Paulo"),
            Compare(days=7),
            ("2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"),
            ("2018-10-28T00:00:00-03:00", "2018-10-29T00:00:00-03:00"),
        ),
        (
            ZoneInfo("America/Sao_Paulo"),
            Compare(days=7),
            ("2018-11-11T00:00:00-02:00", "2018-11-12T00:00:00-02:00"),
            ("2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"),
        ),
    ],
)
def test_what_hours_are_compared_with(
    zone: ZoneInfo, compare: Compare, window: tuple[str, str], earlier: tuple[str, str]
) -> None:
    found = shifted(Window(*(datetime.fromisoformat(each).astimezone(zone) for each in window)), compare)
    assert (found.start.isoformat(), found.end.isoformat()) == earlier


COMPARES = st.integers(1, 400).map(lambda days: Compare(days=days)) | st.integers(1, 24).map(
    lambda months: Compare(months=months)
)


@given(MOMENTS, st.integers(0, 100), st.sampled_from(["HOUR", "DAY"]), COMPARES)
def test_what_is_compared_with_is_whole_and_holds_what_each_bucket_is_compared_with(
    moment: tuple[ZoneInfo, datetime], hours: int, resolution: Resolution, compare: Compare
) -> None:
    zone, begin = moment
    # Where the clock was changed off the full hour, or over a whole day, there are buckets with none to compare them with.
    assume(zone.key not in ("Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia"))
    window = widened(Window(begin, begin + (hours + 1) * HOUR), resolution, zone)
    found = shifted(window, compare)
    assert widened(found, resolution, zone) == found
    each = [shifted(bucket, compare) for bucket in buckets(window, resolution, zone)]
    assert all(bucket.start.astimezone(UTC) < bucket.end.astimezone(UTC) for bucket in each)
    assert found.start.astimezone(UTC) <= min(bucket.start.astimezone(UTC) for bucket in each)
    assert max(bucket.end.astimezone(UTC) for bucket in each) <= found.end.astimezone(UTC)


def test_an_instant_in_utc_has_an_earlier_one_too() -> None:
    noon = datetime(2026, 3, 30, 12, tzinfo=UTC)
    assert shifted(Window(noon, noon), Compare(months=1)).start.isoformat() == "2026-02-28T12:00:00+00:00"
    with pytest.raises(ValueError, match="without a zone"):
        shifted(Window(noon.replace(tzinfo=None), noon), Compare(days=1))


@pytest.mark.parametrize("resolution", ["TOTAL", "NONE"])
def test_what_has_no_buckets_is_refused(resolution: Resolution) -> None:
    with pytest.raises(ValueError, match="no buckets"):
        floor(datetime.now(UTC), resolution, COPENHAGEN)
