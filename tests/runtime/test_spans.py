from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from runtime.spans import Compare, Lookback, compare, day, interval, interval_text, lookback


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("1s", timedelta(seconds=1)),
        ("15m", timedelta(minutes=15)),
        ("36h", timedelta(hours=36)),
        ("366d", timedelta(days=366)),
    ],
)
def test_an_interval(text: str, span: timedelta) -> None:
    assert interval(text) == span
    assert interval(span) == span
    assert interval(interval_text(span)) == span


def test_an_interval_is_told_in_the_largest_whole_unit() -> None:
    spans = [timedelta(seconds=seconds) for seconds in (61, 5400, 7200, 172_800)]

    assert [interval_text(span) for span in spans] == ["61s", "90m", "2h", "2d"]


@pytest.mark.parametrize(
    ("text", "meant", "told"),
    [
        ("3d", Lookback("days", 3), "3d"),
        ("2w", Lookback("days", 14), "14d"),
        ("3660d", Lookback("days", 3660), "3660d"),
        ("all", Lookback("all"), "all"),
        ("query", Lookback("query"), "query"),
    ],
)
def test_a_lookback(text: str, meant: Lookback, told: str) -> None:
    assert lookback(text) == lookback(meant) == meant
    assert str(meant) == told


@pytest.mark.parametrize(
    ("text", "meant", "told"),
    [
        ("7d", Compare(days=7), "7d"),
        ("4w", Compare(days=28), "28d"),
        ("1mo", Compare(months=1), "1mo"),
        ("1y", Compare(months=12), "12mo"),
    ],
)
def test_what_is_compared_with(text: str, meant: Compare, told: str) -> None:
    assert compare(text) == compare(meant) == meant
    assert str(meant) == told


def test_a_day_comes_as_toml_or_as_text() -> None:
    assert day("2026-02-28") == day(date(2026, 2, 28)) == date(2026, 2, 28)


@pytest.mark.parametrize(
    ("of", "value", "told"),
    [
        (interval, "15", 'is no interval; write it like "15m" (s, m, h, d)'),
        (interval, "1.5h", 'is no interval; write it like "15m" (s, m, h, d)'),
        (interval, "-1m", 'is no interval; write it like "15m" (s, m, h, d)'),
        (interval, "٣m", 'is no interval; write it like "15m" (s, m, h, d)'),
        (interval, 900, 'is no text; write it like "15m" (s, m, h, d)'),
        (interval, "0m", 'is too short; give at least "1s"'),
        (interval, "367d", 'is too long; give at most "366d"'),
        (interval, "999999999d", 'is too long; give at most "366d"'),
        (lookback, "3", 'is no lookback; write it like "3d" or "2w", or "all" or "query"'),
        (lookback, "1mo", 'is no lookback; write it like "3d" or "2w", or "all" or "query"'),
        (lookback, 3, 'is no text; write it like "3d" or "2w", or "all" or "query"'),
        (lookback, "0d", 'is too short: no day would be asked for once it is over; give at least "1d"'),
        (lookback, "600w", 'is too long; give at most "3660d", or "all"'),
        (compare, "1m", 'is no span to compare by; write it like "7d", "4w", "1mo" or "1y"'),
        (compare, ["1y"], 'is no text; write it like "7d", "4w", "1mo" or "1y"'),
        (compare, "0y", 'compares each bucket with itself; write it like "7d", "4w", "1mo" or "1y"'),
        (compare, "11y", 'is too long; give at most "10y"'),
        (compare, "4000d", 'is too long; give at most "10y"'),
        (day, "2026-02-29", "is a day that there is not; correct it"),
        (day, "20260228", 'is no day; write it like "2026-01-31"'),
        (day, datetime(2026, 2, 28, tzinfo=UTC), 'is no day; write it like "2026-01-31"'),
        (day, 0, 'is no day; write it like "2026-01-31"'),
    ],
)  # fmt: skip
def test_what_is_none_says_how_to_write_it(of: Any, value: Any, told: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        of(value)

    assert caught.value.message() == told
