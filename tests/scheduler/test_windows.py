"""What a pull covers: whole buckets, the running one last, the newest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from runtime.settings import AccountSettings, ExportSettings
from scheduler.coverage import Coverage
from scheduler.local_times import LocalTimes
from scheduler.plan import Plan, Shape, Window
from scheduler.schedule import Schedule, jitter
from scheduler.windows import days, final, lookback, slices

if TYPE_CHECKING:
    from schemas.exports import Resolution

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
NOW = datetime(2026, 11, 19, 14, 30, tzinfo=COPENHAGEN)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12)


def plan(resolution: Resolution = "DAY", *, back: str = "3d", most: int | None = None, axis: bool = True) -> Plan:
    account = AccountSettings(name="a", source="profitmetrics", url="http://127.0.0.1", api_key=SecretStr("k"))
    export = ExportSettings.model_validate(
        {"name": "e", "account": "a", "dataset": "d", "every": "1h", "timezone": "Europe/Copenhagen", "lookback": back}
    )
    return Plan(export, account, Shape(resolution, COPENHAGEN, time_axis=axis, max_buckets=most))


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


def test_only_what_is_over_is_final() -> None:
    window = lookback(plan(), NOW, None)
    over = final(window, plan(), NOW)
    assert over is not None
    assert over.end.isoformat() == "2026-11-19T00:00:00+01:00"
    assert final(Window(over.end, window.end), plan(), NOW) is None
    assert final(window, plan("TOTAL"), NOW) is None


def test_slices_are_as_large_as_may_be_and_the_newest_comes_first() -> None:
    window = days(plan(), "2026-10-20", "2026-10-29")
    found = list(slices(window, plan(most=4)))
    assert [(each.start.day, each.end.day) for each in found] == [(26, 30), (22, 26), (20, 22)]
    assert [each.start.day for each in slices(window, plan(axis=False))] == [29, 28, 27, 26, 25, 24, 23, 22, 21, 20]


@given(SPANS, SPANS, st.tuples(st.integers(0, 60), st.integers(0, 60)))
def test_coverage_is_a_set_of_hours(
    added: list[tuple[int, int]], taken: list[tuple[int, int]], within: tuple[int, int]
) -> None:
    coverage, hours = Coverage(), set[int]()
    for low, high in added:
        coverage = coverage.with_(_window(low, high))
        hours |= set(range(low, high))
    for low, high in taken:
        coverage = coverage.without(_window(low, high))
        hours -= set(range(low, high))
    assert _hours(coverage.windows()) == hours
    assert _hours(Coverage.decode(coverage.encode()).windows()) == hours
    assert _hours(coverage.gaps(_window(*within))) == set(range(*within)) - hours
    ends = [window.end for window in coverage.windows()]
    assert all(end not in {window.start for window in coverage.windows()} for end in ends)


def test_cron_runs_once_on_days_when_clocks_change_and_every_real_hour() -> None:
    daily = Schedule(expression="30 2 * * *", zone=COPENHAGEN)
    autumn = daily.after(datetime(2026, 10, 24, 12, tzinfo=COPENHAGEN))
    assert daily.after(autumn).date().isoformat() == "2026-10-26"
    spring = daily.after(datetime(2026, 3, 28, 12, tzinfo=COPENHAGEN))
    assert spring.date().isoformat() == "2026-03-29"
    hourly = Schedule(expression="15 * * * *", zone=COPENHAGEN)
    at = datetime(2026, 10, 24, 22, tzinfo=UTC)
    for _ in range(25):
        later = hourly.after(at)
        assert later.astimezone(UTC) - at <= HOUR
        at = later.astimezone(UTC)
    assert at == datetime(2026, 10, 25, 22, 15, tzinfo=UTC)


@pytest.mark.parametrize(("last", "due"), [(1, "2026-11-19"), (400, "2026-11-19"), (0, None)])
def test_the_latest_time_that_was_missed(last: int, due: str | None) -> None:
    daily = Schedule(expression="0 4 * * *", zone=COPENHAGEN)
    found = daily.missed(NOW - timedelta(days=last), NOW)
    assert (found and found.date().isoformat()) == due


def test_every_is_aligned_and_jitter_is_small_and_always_the_same() -> None:
    every = Schedule(every=timedelta(minutes=15), zone=COPENHAGEN)
    assert every.after(NOW).astimezone(COPENHAGEN).isoformat() == "2026-11-19T14:45:00+01:00"
    assert every.missed(NOW - HOUR, NOW) == NOW
    spread = {jitter(f"export-{number}", every) for number in range(50)}
    assert len(spread) > 40
    assert max(spread) <= timedelta(seconds=30)
    assert jitter("e", Schedule(every=timedelta(seconds=5), zone=COPENHAGEN)) == timedelta(0)


def test_the_repeated_hour_is_told_apart_by_the_order() -> None:
    times = LocalTimes(COPENHAGEN)
    found = [times.read(f"2026-10-25T{hour}:00").isoformat()[-6:] for hour in ("01", "02", "02", "03")]
    assert found == ["+02:00", "+02:00", "+01:00", "+01:00"]
    with pytest.raises(ValueError, match="no local time"):
        times.read("yesterday")
    with pytest.raises(ValueError, match="offset"):
        times.read("2026-10-25T02:00:00Z")


def _window(low: int, high: int) -> Window:
    return Window(EPOCH + low * HOUR, EPOCH + high * HOUR)


def _hours(windows: list[Window]) -> set[Any]:
    return {hour for window in windows for hour in range((window.start - EPOCH) // HOUR, (window.end - EPOCH) // HOUR)}
