"""When exports are due, also on the days when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSimError
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.schedule import Schedule, jitter

COPENHAGEN, NEW_YORK, UTC_ZONE = ZoneInfo("Europe/Copenhagen"), ZoneInfo("America/New_York"), ZoneInfo("UTC")
NOW = datetime(2026, 11, 19, 14, 30, tzinfo=COPENHAGEN)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
CHANGES = [  # somewhat before a clock is changed
    (COPENHAGEN, datetime(2026, 3, 28, 22, tzinfo=UTC)),
    (COPENHAGEN, datetime(2026, 10, 24, 22, tzinfo=UTC)),
    (NEW_YORK, datetime(2026, 3, 8, 4, tzinfo=UTC)),
    (NEW_YORK, datetime(2026, 11, 1, 3, tzinfo=UTC)),
    (ZoneInfo("America/Sao_Paulo"), datetime(2018, 11, 4, 1, tzinfo=UTC)),
    (ZoneInfo("America/Havana"), datetime(2026, 11, 1, 2, tzinfo=UTC)),
]


@pytest.mark.parametrize(
    ("expression", "spring", "autumn"),
    [
        ("30 2 * * *", ["03:00+02:00"], ["02:30+02:00"]),
        ("*/30 2 * * *", ["03:00+02:00"], ["02:00+02:00", "02:30+02:00"]),
        ("0 */2 * * *", ["03:00+02:00", "04:00+02:00"], ["02:00+02:00", "04:00+01:00"]),
        (
            "15 0-23 * * *",
            ["01:15+01:00", "03:15+02:00", "04:15+02:00"],
            ["01:15+02:00", "02:15+02:00", "02:15+01:00", "03:15+01:00", "04:15+01:00"],
        ),
    ],
)
def test_cron_when_clocks_change(expression: str, spring: list[str], autumn: list[str]) -> None:
    schedule = Schedule(expression=expression, zone=COPENHAGEN)
    for day, expected in (("2026-03-29", spring), ("2026-10-25", autumn)):
        start = datetime.fromisoformat(f"{day}T00:30").replace(tzinfo=COPENHAGEN)
        end = datetime.fromisoformat(f"{day}T04:30").replace(tzinfo=COPENHAGEN)
        found = [due.isoformat()[11:16] + due.isoformat()[19:] for due in _dues(schedule, start, end)]
        assert found == expected


@settings(max_examples=60)
@given(
    st.sets(st.sampled_from([0, 1, 15, 30, 45, 59]), min_size=1),
    st.sets(st.integers(0, 5), min_size=1) | st.just(set(range(24))),
    st.sampled_from(CHANGES),
)
def test_it_is_due_when_the_clock_says_so(
    minutes: set[int], hours: set[int], change: tuple[ZoneInfo, datetime]
) -> None:
    zone, start = change
    end = start + 6 * HOUR
    expression = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    found = [due.astimezone(UTC) for due in _dues(Schedule(expression=expression, zone=zone), start, end)]
    assert found == _by_the_clock(minutes, hours, zone, start, end)


def test_a_due_time_is_one_that_there_is() -> None:
    schedule = Schedule(expression="0 * 4 11 *", zone=ZoneInfo("America/Sao_Paulo"))
    assert schedule.after(datetime(2018, 10, 1, tzinfo=UTC)).isoformat() == "2018-11-04T01:00:00-02:00"


def test_it_is_later_than_what_it_is_asked_for() -> None:
    schedule = Schedule(expression="0 * * * *", zone=COPENHAGEN)
    full = datetime(2026, 11, 19, 14, tzinfo=COPENHAGEN)
    assert schedule.after(full) == full + HOUR
    assert schedule.after(full - timedelta(microseconds=1)) == full
    assert schedule.after(full + timedelta(microseconds=1)) == full + HOUR


@pytest.mark.parametrize(("last", "due"), [(1, "2026-11-19"), (400, "2026-11-19"), (0, None)])
def test_the_latest_time_that_was_missed(last: int, due: str | None) -> None:
    daily = Schedule(expression="0 4 * * *", zone=COPENHAGEN)
    found = daily.missed(NOW - timedelta(days=last), NOW)
    assert (found and found.date().isoformat()) == due


@given(st.integers(0, 40_000), st.integers(0, 40_000))
def test_what_was_missed_is_the_last_of_all(before: int, minutes: int) -> None:
    schedule = Schedule(expression="0,7 4,16 * * *", zone=COPENHAGEN)
    last = datetime(2026, 10, 1, tzinfo=UTC) + before * MINUTE
    now = last + minutes * MINUTE
    found = schedule.missed(last, now)
    if found is None:
        assert schedule.after(last) > now
    else:
        assert last < found <= now
        assert schedule.after(found) > now


def test_the_second_of_two_hours_is_missed_too() -> None:
    hourly = Schedule(expression="15 * * * *", zone=COPENHAGEN)
    first = datetime(2026, 10, 25, 2, 20, tzinfo=COPENHAGEN)
    second = datetime(2026, 10, 25, 2, 16, tzinfo=COPENHAGEN, fold=1)  # by the wall clock it is the earlier one
    missed = hourly.missed(first, second)
    assert missed is not None
    assert missed.isoformat() == "2026-10-25T02:15:00+01:00"


def test_a_year_of_missed_minutes_costs_little() -> None:
    every_minute = Schedule(expression="* * * * *", zone=COPENHAGEN)
    began = process_time()
    assert every_minute.missed(NOW - timedelta(days=365), NOW) == NOW
    assert process_time() - began < 0.2  # looked at one by one they are half a million


def test_every_is_aligned_to_the_epoch() -> None:
    every = Schedule(every=timedelta(minutes=15), zone=COPENHAGEN)
    assert every.after(NOW).astimezone(COPENHAGEN).isoformat() == "2026-11-19T14:45:00+01:00"
    assert every.missed(NOW - HOUR, NOW) == NOW
    assert every.missed(NOW, NOW + timedelta(minutes=14)) is None


def test_what_is_no_cron_expression_is_refused() -> None:
    with pytest.raises(CronSimError):
        Schedule(expression="61 * * * *", zone=COPENHAGEN)


@pytest.mark.parametrize(
    ("schedule", "most"),
    [
        (Schedule(every=timedelta(minutes=15), zone=UTC_ZONE), 30.0),
        (Schedule(every=timedelta(minutes=1), zone=UTC_ZONE), 6.0),
        (Schedule(expression="* * * * *", zone=UTC_ZONE), 6.0),
        (Schedule(expression="0,1 4 * * *", zone=UTC_ZONE), 6.0),
        (Schedule(every=timedelta(seconds=10), zone=UTC_ZONE), 1.0),
        (Schedule(every=timedelta(seconds=9), zone=UTC_ZONE), 0.0),
    ],
)
def test_jitter_is_small_and_always_the_same(schedule: Schedule, most: float) -> None:
    spread = [jitter(f"export-{number}", schedule).total_seconds() for number in range(200)]
    assert spread == [jitter(f"export-{number}", schedule).total_seconds() for number in range(200)]
    assert all(0 <= seconds <= most for seconds in spread)
    assert most * 0.9 <= max(spread)
    assert min(spread) <= most * 0.1


def _dues(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    """Return the due times after `start` up to `end`."""
    found: list[datetime] = []
    at = start
    while (at := schedule.after(at)).astimezone(UTC) <= end.astimezone(UTC):
        found.append(at)
    assert all(before.astimezone(UTC) < after.astimezone(UTC) for before, after in pairwise(found))
    return found


def _by_the_clock(minutes: set[int], hours: set[int], zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Return the same, minute by minute: named hours come once by the clock, all hours as often as there are."""
    found, passed, every_hour = list[datetime](), set[datetime](), len(hours) == 24
    at = start - 24 * HOUR
    before = at.astimezone(zone).replace(tzinfo=None)
    while at <= end:
        clock = at.astimezone(zone).replace(tzinfo=None)
        jumped = before + MINUTE
        shown = [clock] if every_hour else []
        while not shown or shown[-1] < clock:  # whatever the clock jumped over, and what it shows
            shown.append(min(jumped, clock))
            jumped += MINUTE
        if at > start and any(
            each.minute in minutes and each.hour in hours and (every_hour or each not in passed) for each in shown
        ):
            found.append(at)
        passed.update(shown)
        before, at = clock, at + MINUTE
    return found
