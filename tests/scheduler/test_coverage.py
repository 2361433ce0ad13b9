"""Coverage is a set of instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import process_time
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.coverage import Coverage
from scheduler.plan import Window

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12)


@given(SPANS, SPANS, st.tuples(st.integers(0, 60), st.integers(0, 60)))
def test_it_is_a_set_of_hours(
    added: list[tuple[int, int]], taken: list[tuple[int, int]], within: tuple[int, int]
) -> None:
    coverage, hours = Coverage(), set[int]()
    for low, high in added:
        coverage = coverage.with_(_window(low, high))
        hours |= set(range(low, high))
    assert coverage.encode() == Coverage((EPOCH + low * HOUR, EPOCH + high * HOUR) for low, high in added).encode()
    for low, high in taken:
        coverage = coverage.without(_window(low, high))
        hours -= set(range(low, high))
    assert _hours(coverage.windows()) == hours
    assert _hours(Coverage.decode(coverage.encode()).windows()) == hours
    assert _hours(coverage.gaps(_window(*within))) == set(range(*within)) - hours
    windows = coverage.windows()
    assert all(before.end < after.start for before, after in pairwise(windows))


def test_what_adds_or_takes_away_changes_nothing() -> None:
    coverage = Coverage().with_(_window(0, 4))
    coverage.without(_window(1, 2))
    coverage.with_(_window(8, 9))
    assert coverage.windows() == [_window(0, 4)]


def test_it_is_written_as_utc_instants() -> None:
    repeated = Window(
        datetime(2026, 10, 25, 2, tzinfo=COPENHAGEN), datetime(2026, 10, 25, 2, tzinfo=COPENHAGEN, fold=1)
    )
    written = Coverage().with_(repeated).encode()
    assert written == [("2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z")]
    read = msgspec.json.decode(msgspec.json.encode(written), type=list[tuple[str, str]])
    assert Coverage.decode(read).encode() == written
    with pytest.raises(ValueError, match="isoformat"):
        Coverage.decode([("yesterday", "today")])


def test_gaps_come_in_the_zone_that_was_asked_in() -> None:
    day = Window(datetime(2026, 10, 25, tzinfo=COPENHAGEN), datetime(2026, 10, 26, tzinfo=COPENHAGEN))
    (gap,) = Coverage().with_(Window(day.start, day.start.astimezone(UTC) + 3 * HOUR)).gaps(day)
    assert gap.start.isoformat() == "2026-10-25T02:00:00+01:00"
    assert gap.end.isoformat() == "2026-10-26T00:00:00+01:00"


def test_thousands_of_spans_cost_little() -> None:
    many = 10_000
    coverage = Coverage((EPOCH + 2 * hour * HOUR, EPOCH + (2 * hour + 1) * HOUR) for hour in range(many))
    began = process_time()
    assert len(coverage.gaps(_window(0, 2 * many))) == many
    for hour in range(100):
        coverage = coverage.with_(_window(2 * hour + 1, 2 * hour + 2)).without(_window(2 * many - hour - 2, 2 * many))
    assert process_time() - began < 1  # in quadratic time it is minutes
    assert coverage.windows()[0] == _window(0, 201)


def _window(low: int, high: int) -> Window:
    return Window(EPOCH + low * HOUR, EPOCH + high * HOUR)


def _hours(windows: list[Window]) -> set[int]:
    return {hour for window in windows for hour in range((window.start - EPOCH) // HOUR, (window.end - EPOCH) // HOUR)}
