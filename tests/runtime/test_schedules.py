from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from runtime.schedules import cron, zone

ANY = ", *, a list 1,2, a range 1-5 or a step */2"
FIELDS = 'is no cron expression of five fields; write minute, hour, day of the month, month, day of the week, like "15 * * * *"'


@pytest.mark.parametrize(
    "expression",
    ["15 * * * *", "*/5 8-18 * * MON-FRI", "0 4 * * 0", "0 4 * * 7", "0 0 L * *", "0 0 29 2 *", "1,31 0 1 jan,jul *"],
)
def test_a_cron_expression(expression: str) -> None:
    assert cron(expression) == expression


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("60 * * * *", f"its minute is wrong; give 0 to 59{ANY}"),
        ("0 24 * * *", f"its hour is wrong; give 0 to 23{ANY}"),
        ("0 0 0 * *", f"its day of the month is wrong; give 1 to 31{ANY}"),
        ("0 0 1 13 *", f"its month is wrong; give 1 to 12 or JAN to DEC{ANY}"),
        ("0 0 * * FUN", f"its day of the week is wrong; give 0 to 7 or SUN to SAT{ANY}"),
        ("30-10 * * * *", f"its minute is wrong; give 0 to 59{ANY}"),
        ("*/0 * * * *", f"its minute is wrong; give 0 to 59{ANY}"),
        ("0 0 30 2 *", "never comes: no month has such a day; correct the day or the month"),
        ("* * */20 * 1L", "never comes: no month has such a day; correct the day or the month"),
        ("* * * *", FIELDS),
        ("0 15 * * * *", FIELDS),
        ("@hourly", FIELDS),
        ("", FIELDS),
        (f"{'1,' * 200}1 * * * *", FIELDS),
        (15, 'is no text; write cron\'s five fields, like "15 * * * *"'),
    ],
)
def test_what_is_wrong_with_one_that_is_none(value: Any, told: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        cron(value)

    assert caught.value.message() == told


FIELD = st.text("0123456789*/,-L#WMONJA", min_size=1, max_size=6)


@given(fields=st.lists(FIELD, min_size=5, max_size=5))
def test_nothing_but_a_fault_comes_of_what_is_none_and_the_rest_comes_due(fields: list[str]) -> None:
    with suppress(PydanticCustomError):
        assert next(CronSim(cron(" ".join(fields)), datetime(2027, 1, 1, tzinfo=UTC))).year >= 2027


def test_the_clocks_changes_cost_no_time_and_repeat_none() -> None:
    copenhagen = ZoneInfo("Europe/Copenhagen")
    spring, autumn = datetime(2026, 3, 29, tzinfo=copenhagen), datetime(2026, 10, 25, tzinfo=copenhagen)

    def due(expression: str, after: datetime, times: int) -> list[str]:
        schedule = CronSim(expression, after)
        return [next(schedule).strftime("%d %H:%M%z") for _ in range(times)]

    assert due("30 2 * * *", spring, 2) == ["29 03:00+0200", "30 02:30+0200"]
    assert due("30 2 * * *", autumn, 2) == ["25 02:30+0200", "26 02:30+0100"]
    assert due("15 * * * *", autumn, 5)[2:] == ["25 02:15+0200", "25 02:15+0100", "25 03:15+0100"]


def test_a_zone() -> None:
    assert zone("Europe/Copenhagen") is ZoneInfo("Europe/Copenhagen")
    assert zone(ZoneInfo("UTC")) is ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("value", "cure"),
    [
        ("Europe/Kopenhagen", 'did you mean "Europe/Copenhagen"?'),
        ("Copenhagen", 'did you mean "Europe/Copenhagen"?'),
        ("New York", 'did you mean "America/New_York"?'),
        ("utc ", 'did you mean "UTC"?'),
        ("Munich", 'write one, like "Europe/Copenhagen" or "UTC"'),
        ("CEST", 'write one, like "Europe/Copenhagen" or "UTC"'),
        ("localtime", 'write one, like "Europe/Copenhagen" or "UTC"'),
        ("right/UTC", 'write one, like "Europe/Copenhagen" or "UTC"'),
        ("../../etc/passwd", 'write one, like "Europe/Copenhagen" or "UTC"'),
        ("/etc/localtime", 'write one, like "Europe/Copenhagen" or "UTC"'),
        ("a\0b", 'write one, like "Europe/Copenhagen" or "UTC"'),
        ("", 'write one, like "Europe/Copenhagen" or "UTC"'),
    ],
)
def test_a_zone_that_is_none_names_the_nearest(value: str, cure: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        zone(value)

    assert caught.value.message() == f"is no IANA time zone; {cure}"


def test_a_zone_is_text() -> None:
    with pytest.raises(PydanticCustomError, match="is no text; put it in quotes"):
        zone(1)
