from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from cli.exports import wording
from cli.exports.backfill import period
from cli.exports.names import Misused, configured
from cli.printable import printable, printable_json
from runtime.settings import Settings
from scheduler.portfolio import plans
from tests.cli.export_views import an_account, an_export

if TYPE_CHECKING:
    from scheduler.plan import Plan

HOSTILE = "\x1b]0;owned\x07 \x9b31m \u202egnp.exe"
TODAY = date(2026, 3, 10)


def settings(*exports: str, **more: Any) -> Settings:
    return Settings(accounts=[an_account()], exports=[an_export(name, **more) for name in exports])


def plan(**more: Any) -> Plan:
    return plans(settings("daily", **more))[0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (0.4, "0 s"), (119, "119 s"), (120, "2 m"), (7199, "119 m"), (7200, "2 h"), (172_800, "2 d")],
)
def test_a_duration_is_one_number(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_what_others_wrote_does_nothing_to_a_terminal() -> None:
    assert printable(HOSTILE) == "·]0;owned· ·31m ·gnp.exe"
    assert printable("Wollmütze, 2 €") == "Wollmütze, 2 €"


def test_as_json_it_does_nothing_to_a_terminal_either_and_stays_what_it_is() -> None:
    value = {HOSTILE: [HOSTILE, "\U000e0001", "Wollmütze", 1.5, None]}

    text = printable_json(value)

    assert text.isprintable()
    assert "Wollmütze" in text
    assert orjson.loads(text) == value


def test_exports_are_found_once_each_in_their_order() -> None:
    known = settings("weekly", "daily")

    assert [each.name for each in configured(known, ["daily", "weekly", "daily"])] == ["daily", "weekly"]


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("Dialy", "did you mean daily?"),
        ("dailyeur", "did you mean daily-eur or daily?"),
        ("x", "there are: daily, daily-eur"),
    ],
)
def test_a_misspelt_export_is_answered_with_the_nearest(name: str, cure: str) -> None:
    with pytest.raises(Misused) as refused:
        configured(settings("daily", "daily-eur"), [name])

    assert str(refused.value) == f"no export is called {name}; {cure}"
    assert refused.value.exit_code == 2


def test_without_exports_it_says_where_they_are_configured() -> None:
    with pytest.raises(Misused, match=r"none is configured; add it under \[\[exports\]\]"):
        configured(Settings(), ["daily"])


def test_a_backfill_may_reach_up_to_today() -> None:
    assert str(period(plan(), "2026-03-01", "2026-03-10", TODAY)) == "2026-03-01 to 2026-03-10"


@pytest.mark.parametrize(
    ("first", "last", "fault"),
    [
        ("yesterday", "2026-03-01", "--from: 'yesterday' is no day; write it like \"2026-01-31\""),
        ("2026-03-01", "2026-02-30", "--to: '2026-02-30' is a day that there is not"),
        ("1999-12-31", "2026-03-01", "--from: 1999-12-31 is before 2000-01-01"),
        ("2026-03-02", "2026-03-01", "--to: 2026-03-01 is before --from, 2026-03-02; exchange them"),
        ("2026-03-01", "2026-03-11", "--to: 2026-03-11 lies in the future; today is 2026-03-10 in Europe/Copenhagen"),
    ],
)
def test_days_that_cannot_be_fetched_are_refused_by_their_option(first: str, last: str, fault: str) -> None:
    with pytest.raises(Misused) as refused:
        period(plan(), first, last, TODAY)

    assert str(refused.value).startswith(fault)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"query": {"resolution": "TOTAL"}}, "each pull replaces all of it"),
        ({"dataset": "metrics", "query": {}, "lookback": "query"}, "its dates stand in its query"),
    ],
)
def test_what_has_no_days_cannot_be_backfilled(more: dict[str, Any], why: str) -> None:
    with pytest.raises(Misused) as refused:
        period(plan(**more), "2026-03-01", "2026-03-02", TODAY)

    assert str(refused.value) == f"daily has no days to fetch again: {why}; `sluice exports run daily` pulls it"
