"""Local times as buckets, and windows as local times."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from runtime.spans import Compare
from scheduler.errors import ExportRefused
from scheduler.plan import Window
from scheduler.sources.profitmetrics.reports import body
from scheduler.sources.profitmetrics.series import Series
from scheduler.sources.profitmetrics.stream import Malformed
from tests.scheduler.sources.profitmetrics.world import COPENHAGEN, ask, export, window

if TYPE_CHECKING:
    from schemas.exports import Resolution


@pytest.mark.parametrize(
    ("zone", "resolution", "text", "start", "end"),
    [
        ("Europe/Copenhagen", "HOUR", "2026-06-15T13:00", "2026-06-15T13:00:00+02:00", "2026-06-15T14:00:00+02:00"),
        ("Europe/Copenhagen", "DAY", "2026-06-15", "2026-06-15T00:00:00+02:00", "2026-06-16T00:00:00+02:00"),
        ("Europe/Copenhagen", "WEEK", "2026-03-23T00:00:00", "2026-03-23T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("Europe/Copenhagen", "MONTH", "2026-10-01", "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"),
        ("Africa/Cairo", "DAY", "2026-04-24T00:00:00", "2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"),
        ("Africa/Cairo", "DAY", "2026-04-24T01:00:00", "2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"),
        ("America/Havana", "DAY", "2026-11-01", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"),
        ("Asia/Kolkata", "HOUR", "2026-06-15T13:00:00", "2026-06-15T13:00:00+05:30", "2026-06-15T14:00:00+05:30"),
    ],
)
def test_a_bucket(zone: str, resolution: Resolution, text: str, start: str, end: str) -> None:
    bucket = Series(ZoneInfo(zone), resolution, "monday").bucket(text)
    assert (bucket.start.isoformat(), bucket.end.isoformat()) == (start, end)


@pytest.mark.parametrize("text", [None, 1, "", "soon", "2026-06-15T00:30:00", "2026-13-01", "2026-06-15T13:00:00Z"])
def test_what_begins_no_hour(text: object) -> None:
    with pytest.raises(Malformed):
        Series(COPENHAGEN, "HOUR", "monday").bucket(text)


def test_where_an_answer_begins_within_a_bucket() -> None:
    assert Series(COPENHAGEN, "MONTH", "monday").bucket("2026-03-09", may_be_cut=True).start.day == 1
    assert Series(COPENHAGEN, "HOUR", "monday").bucket("2026-03-09T09:12", may_be_cut=True).start.minute == 0
    with pytest.raises(Malformed):
        Series(COPENHAGEN, "MONTH", "monday").bucket("2026-03-09")
    with pytest.raises(ExportRefused, match="week_starts"):
        Series(COPENHAGEN, "WEEK", "monday").bucket("2026-06-14")
    assert Series(COPENHAGEN, "WEEK", "sunday").bucket("2026-06-14").end.day == 21


def periods(resolution: str, asked: Window) -> list[tuple[str, str]]:
    (report,) = body([replace(ask(export(["TURNOVER"], resolution=resolution)), window=asked)])["reports"]
    return [
        (report[name]["fromIncl"], report[name]["toExcl"]) for name in ("period", "comparePeriod") if name in report
    ]


def test_a_period_is_local_and_without_offset() -> None:
    asked = window(COPENHAGEN, "2026-06-15", "2026-06-18")
    assert periods("DAY", asked) == [("2026-06-15T00:00:00", "2026-06-18T00:00:00")]


def test_a_period_neither_begins_nor_ends_with_a_time_that_comes_twice() -> None:
    utc = [datetime(2026, 10, 25, hour, tzinfo=UTC).astimezone(COPENHAGEN) for hour in range(3)]
    assert [moment.hour for moment in utc] == [2, 2, 3]
    around = [("2026-10-25T01:00:00", "2026-10-25T03:00:00")]
    assert periods("HOUR", Window(utc[0], utc[1])) == periods("HOUR", Window(utc[1], utc[2])) == around


def test_total_is_widened_only_into_the_future() -> None:
    start, now = window(COPENHAGEN, "2026-10-23", "2026-10-24").start, datetime(2026, 10, 25, 1, 20, tzinfo=UTC)
    total = replace(ask(export(["TURNOVER"], resolution="TOTAL")), now=now)
    for end, sent in ((now, "2026-10-25T03:20:00"), (now.replace(hour=0), "2026-10-25T02:20:00")):
        (report,) = body([replace(total, window=Window(start, end.astimezone(COPENHAGEN)))])["reports"]
        assert report["period"] == {"fromIncl": "2026-10-23T00:00:00", "toExcl": sent}


def test_both_periods_are_widened_alike() -> None:
    compared = ask(export(["TURNOVER"], resolution="HOUR", compare=Compare(days=7)))
    second = datetime(2026, 10, 25, 1, tzinfo=UTC).astimezone(COPENHAGEN)
    earlier = window(COPENHAGEN, "2026-10-18T02:00", "2026-10-18T03:00")
    (report,) = body([replace(compared, window=Window(second, second.replace(hour=3, fold=0)), compare=earlier)])[
        "reports"
    ]
    assert report["period"] == {"fromIncl": "2026-10-25T01:00:00", "toExcl": "2026-10-25T03:00:00"}
    assert report["comparePeriod"] == {"fromIncl": "2026-10-18T00:00:00", "toExcl": "2026-10-18T03:00:00"}
