from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from cli.exports.listing import show
from cli.exports.status import lines
from cli.exports.view import View, views
from cli.exports.view_json import as_json
from runtime.settings import Settings
from schemas.commands import Backfill, ExportCommand
from schemas.ledger import HeldBack, Task, VendorJob
from tests.cli.export_views import Ledger, an_account, an_export

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()
# Whole days in Copenhagen, which is one hour ahead.
FIRST, SECOND = ("2026-02-28T23:00:00Z", "2026-03-04T23:00:00Z"), ("2026-03-05T23:00:00Z", "2026-03-09T23:00:00Z")
TASK = Task(id="b1", asked=FIRST, left=[FIRST])
HELD = HeldBack(window=FIRST, keys="", vanishing=3, of=4)


def view(
    state: dict[str, Any] | None = None,
    account: dict[str, Any] | None = None,
    command: ExportCommand | None = None,
    **export: Any,
) -> View:
    """An export that is configured, and what its owner and the command line say of it."""
    ledger = Ledger()
    if state is not None:
        ledger.export(**state)
    if account is not None:
        ledger.account(**account)
    settings = Settings(accounts=[an_account(requests_per_month=1000)], exports=[an_export(**export)])
    (found,) = views(settings, ledger.book, {} if command is None else {"daily": command})
    return found


def printed(found: Sequence[View], width: int = 160) -> list[str]:
    out = io.StringIO()
    show(Console(file=out, width=width, highlight=False, markup=False), found, NOW)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def told(found: View) -> dict[str, str]:
    return dict(lines(found, NOW))


@pytest.mark.parametrize(
    ("state", "account", "condition"),
    [
        (None, None, "new"),
        ({}, None, "active"),
        ({"status": "stopped", "failures": 1}, {"parked": "plan"}, "stopped"),
        ({"status": "paused", "tasks": [TASK]}, None, "paused"),
        ({"failures": 1}, {"parked": "plan"}, "parked"),
        ({"held": HELD, "failures": 1}, None, "held back"),
        ({"failures": 1, "tasks": [TASK]}, None, "retrying"),
        ({"tasks": [TASK]}, None, "backfilling"),
        ({"tasks": [Task(id="refresh", asked=FIRST, left=[FIRST])]}, None, "refreshing"),
        ({"begin": FIRST[0], "covered": [SECOND]}, None, "catching up"),
        ({"begin": FIRST[0], "covered": [SECOND], "lacking": [(FIRST[0], SECOND[0])]}, None, "active"),
        ({"begin": SECOND[0], "covered": [FIRST, SECOND]}, None, "active"),
    ],
)
def test_the_condition_is_what_an_operator_should_know_first(
    state: dict[str, Any] | None, account: dict[str, Any] | None, condition: str
) -> None:
    assert view(state, account).condition == condition


def test_history_since_a_day_is_wanted_from_its_midnight_on() -> None:
    found = view({"begin": SECOND[0], "covered": [FIRST, SECOND]}, since="2026-02-27")

    assert [found.days(gap) for gap in found.gaps] == [
        (datetime(2026, 2, 27).date(), datetime(2026, 2, 28).date()),  # noqa: DTZ001  # a day has no zone
        (datetime(2026, 3, 5).date(), datetime(2026, 3, 5).date()),  # noqa: DTZ001  # as above
    ]


@pytest.mark.parametrize(
    ("state", "account", "due"),
    [
        (None, None, NOW),
        ({"due": "2026-03-10T08:00:00Z"}, None, NOW),
        ({"due": "2026-03-10T12:00:00Z", "retry_at": "2026-03-10T12:00:20Z"}, None, NOW + 20),
        ({"due": "2026-03-10T08:00:00Z"}, {"parked": "plan", "probe_at": "2026-03-10T12:30:00Z"}, NOW + 1800),
        ({"due": "2026-03-10T08:00:00Z", "status": "paused"}, None, None),
        ({"status": "stopped"}, None, None),
    ],
)
def test_it_is_due_when_the_scheduler_will_ask(
    state: dict[str, Any] | None, account: dict[str, Any] | None, due: float | None
) -> None:
    assert view(state, account).next_due(NOW) == due


def test_the_regular_time_has_the_jitter_of_its_name() -> None:
    due = view({"due": "2026-03-10T12:00:40Z"}).next_due(NOW)

    assert due is not None
    assert 3600 <= due - NOW < 3630


def test_what_is_wanted_and_not_obeyed_is_shown_until_it_is() -> None:
    paused = ExportCommand(state="paused")

    assert view(None, command=paused).wanted == "paused"
    assert view({"status": "paused"}, command=paused).wanted is None
    assert view({"status": "paused"}, command=ExportCommand()).wanted == "active"
    assert view({"status": "stopped"}).wanted is None


def test_the_list_fits_and_tells_reasons_beneath_without_control_characters() -> None:
    found = [
        view(
            {
                "covered": [FIRST, SECOND],
                "rows": 1234,
                "succeeded": "2026-03-10T11:58:00Z",
                "due": "2026-03-10T12:00:00Z",
            }
        ),
        view({"status": "stopped", "reason": "no \x1b[2J key\x9b of " + "y" * 200}),
        view(None, command=ExportCommand(state="paused")),
    ]

    header, whole, stopped, new, reason = printed(found)

    assert header.split() == ["export", "dataset", "state", "last", "success", "next", "due", "rows", "covered"]
    assert "2 m ago" in whole
    assert whole.endswith("1,234  2026-03-01 to 2026-03-09, in 2 parts")
    assert "never         -" in stopped
    assert "new → paused" in new
    assert reason == "daily: no ·[2J key· of " + "y" * 200
    assert max(map(len, printed(found, 80)[:-1])) <= 80


def test_the_status_tells_everything() -> None:
    command = ExportCommand(backfills=[Backfill(id="b2", start="2025-01-01", end="2025-01-02")])
    found = view(
        {
            "status": "active",
            "reason": "held back",
            "attempted": "2026-03-10T11:59:00Z",
            "failures": 2,
            "begin": FIRST[0],
            "covered": [SECOND],
            "lacking": [("2025-12-30T23:00:00Z", "2025-12-31T23:00:00Z")],
            "tasks": [TASK],
            "held": HELD,
            "job": VendorJob(window=SECOND, ask=0, handle={"id": "j\x9b1"}),
            "rows": 5,
        },
        {
            "month": "2026-03",
            "requests": 12,
            "parked": "rate",
            "reason": "slow",
            "since": "s",
            "probe_at": "2026-03-10T12:30:00Z",
        },
        command,
    )

    text = told(found)

    assert text["schedule"] == "every 1h in Europe/Copenhagen, lookback 3d"
    assert (text["state"], text["reason"]) == ("parked", "slow")
    assert text["last success"] == "never"
    assert text["last attempt"] == "2026-03-10 11:59:00Z (60 s ago); 2 failed in a row"
    assert text["covered"] == "2026-03-06 to 2026-03-09"
    assert text["to come"] == "2026-03-01 to 2026-03-05"
    assert text["not at vendor"] == "2025-12-31"
    assert text["held back"] == "an answer of 2026-03-01 to 2026-03-04 without 3 of 4 rows"
    assert text["vendor job"].endswith("of 2026-03-06 to 2026-03-09")
    assert text["account"] == "shop-profit; 12 requests in 2026-03; 1,000 a month at most"
    assert text["parked"] == "for rate since s; probed at 2026-03-10T12:30:00Z: slow"
    assert [value for label, value in lines(found, NOW) if label == "backfill"] == [
        "2026-03-01 to 2026-03-04; left: 2026-03-01 to 2026-03-04",
        "2025-01-01 to 2025-01-02; not taken up yet",
    ]


def test_the_status_of_what_no_scheduler_ever_had_is_short() -> None:
    assert told(view()) == {
        "export": "daily",
        "dataset": "profitmetrics reports",
        "schedule": "every 1h in Europe/Copenhagen, lookback 3d",
        "state": "new",
        "last success": "never",
        "next due": "now",
        "account": "shop-profit; 1,000 a month at most",
    }


def test_what_only_the_ledger_knows_comes_last() -> None:
    ledger = Ledger()
    ledger.export(rows=4, reason="bad key", status="stopped")

    kept, gone = views(Settings(accounts=[an_account()], exports=[an_export("kept")]), ledger.book, {})

    assert (kept.condition, gone.condition, gone.account_name) == ("new", "not configured", "shop-profit")
    assert gone.next_due(NOW) is None
    found = as_json(gone, NOW)
    assert (found["configured"], found["schedule"], found["timezone"], found["rows"]) == (False, None, None, 4)


def test_json_has_the_same_fields_for_all_and_nulls_for_what_there_is_not() -> None:
    empty = as_json(view(), NOW)
    full = as_json(
        view(
            {
                "covered": [SECOND],
                "begin": FIRST[0],
                "tasks": [TASK],
                "held": HELD,
                "succeeded": "2026-03-10T11:58:00Z",
            },
            {"month": "2026-03", "requests": 12},
        ),
        NOW,
    )

    assert empty.keys() == full.keys()
    assert (empty["state"], empty["last_success"], empty["age_seconds"], empty["covered"]) == ("new", None, None, [])
    assert empty["next_due"] == "2026-03-10T12:00:00.000Z"
    assert full["age_seconds"] == 120
    assert full["gaps"] == [(FIRST[0], SECOND[0])]
    assert full["tasks"] == [{"id": "b1", "kind": "backfill", "asked": FIRST, "left": [FIRST]}]
    assert full["held_back"]["vanishing"] == 3
    assert full["account_state"]["requests"] == 12
