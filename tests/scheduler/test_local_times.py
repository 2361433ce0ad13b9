"""Local times without an offset, as vendors write them."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from scheduler.local_times import LocalTimes

COPENHAGEN, NEW_YORK = ZoneInfo("Europe/Copenhagen"), ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2025-03-06", "2025-03-06T00:00:00+01:00"),
        ("2025-03-06T11:00", "2025-03-06T11:00:00+01:00"),
        ("2025-07-06T11:00:30", "2025-07-06T11:00:30+02:00"),
        ("2025-03-06T11:00:00.250", "2025-03-06T11:00:00.250000+01:00"),
    ],
)
def test_the_forms_that_vendors_write(text: str, read: str) -> None:
    assert LocalTimes(COPENHAGEN).read(text).isoformat() == read


@pytest.mark.parametrize(
    ("zone", "day", "offsets"),
    [
        (COPENHAGEN, "2025-10-26", {"02:00": ["+02:00", "+01:00"], "02:30": ["+02:00", "+01:00"]}),
        (NEW_YORK, "2025-11-02", {"01:00": ["-04:00", "-05:00"], "01:30": ["-04:00", "-05:00"]}),
    ],
)
def test_the_repeated_hour_is_told_apart_by_the_order(zone: ZoneInfo, day: str, offsets: dict[str, list[str]]) -> None:
    times = LocalTimes(zone)
    for turn in range(2):
        for clock, both in offsets.items():
            assert times.read(f"{day}T{clock}").isoformat()[-6:] == both[turn]


def test_of_the_repeated_hour_one_alone_is_the_first() -> None:
    times = LocalTimes(COPENHAGEN)
    read = [times.read(f"2025-10-26T{hour}:00").isoformat()[-6:] for hour in ("01", "02", "03")]
    assert read == ["+02:00", "+02:00", "+01:00"]


def test_a_third_time_is_the_first_again_and_so_follows_nothing() -> None:
    times = LocalTimes(COPENHAGEN)
    read = [times.read("2025-10-26T02:00").isoformat()[-6:] for _ in range(3)]
    assert read == ["+02:00", "+01:00", "+02:00"]


@pytest.mark.parametrize(
    ("zone", "text", "read"),
    [
        (COPENHAGEN, "2026-03-29T02:00", "2026-03-29T03:00:00+02:00"),
        (NEW_YORK, "2026-03-08T02:30", "2026-03-08T03:30:00-04:00"),
        (ZoneInfo("America/Sao_Paulo"), "2018-11-04", "2018-11-04T01:00:00-02:00"),
    ],
)
def test_a_time_that_the_clock_jumps_over_lies_as_far_behind_the_jump(zone: ZoneInfo, text: str, read: str) -> None:
    assert LocalTimes(zone).read(text).isoformat() == read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yesterday", "no local time: 'yesterday'"),
        ("", "no local time"),
        ("2025-02-29", "no local time"),
        ("20251026", "no local time"),
        ("2025-W43-1", "no local time"),
        ("2025-10-26 02:00", "no local time"),
        ("2025-10-26T02", "no local time"),
        ("2025-10-26T02:00:00Z", "offset"),
        ("2025-10-26T02:00:00+02:00", "offset"),
        ("0001-01-01T00:00:00", "beyond the calendar"),
        (None, "no local time"),
        (20251026, "no local time"),
    ],
)
def test_anything_else_is_refused(text: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LocalTimes(COPENHAGEN).read(text)
