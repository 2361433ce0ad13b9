from __future__ import annotations

import pytest

from cli.exports.outcome import History, Pull
from runtime.errors import OperatorError
from schemas.commands import Backfill
from schemas.ledger import HeldBack, Task, account_key
from tests.cli.export_views import ACCOUNT, Ledger, a_state

NINE = 1_772_355_600_000  # 2026-03-01T09:00:00Z
BEFORE, AFTER = "2026-03-01T08:59:59Z", "2026-03-01T09:00:00.250Z"
DAYS = ("2026-01-01T00:00:00Z", "2026-01-11T00:00:00Z")
LEFT = ("2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z")


@pytest.fixture
def ledger() -> Ledger:
    """One with an export that was pulled before, at nine o'clock."""
    ledger = Ledger()
    ledger.at = NINE
    ledger.export(due=BEFORE, rows=3)
    return ledger


def a_pull(ledger: Ledger) -> Pull:
    """A run that its owner has just taken up."""
    pull = Pull("daily", "n1")
    assert (pull.judge(ledger.book), pull.is_obeyed) == (None, False)
    ledger.export(due=BEFORE, rows=3, run="n1", cancel="c0", attempted=BEFORE, failures=2)
    assert (pull.judge(ledger.book), pull.is_obeyed) == (None, True)
    return pull


def test_a_run_ends_with_a_pull_that_began_after_it_was_taken_up(ledger: Ledger) -> None:
    pull = a_pull(ledger)

    ledger.export(due=AFTER, rows=1, run="n1", cancel="c0")

    assert pull.judge(ledger.book) == (True, "pulled; 1 row stands")


def test_a_pull_that_was_under_way_before_is_not_the_one(ledger: Ledger) -> None:
    pull = a_pull(ledger)

    ledger.export(due="2026-03-01T08:59:59.900Z", rows=1, run="n1", cancel="c0")

    assert pull.judge(ledger.book) is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"cancel": "c1"}, "cancelled"),
        ({"status": "paused"}, "paused before it was pulled"),
        (
            {"status": "stopped", "reason": "no\x1b[2J key"},
            "stopped: no·[2J key; `sluice exports resume daily` asks the vendor again",
        ),
        (
            {"failures": 3, "reason": "busy", "attempted": AFTER, "retry_at": "2026-03-01T09:01:00Z"},
            "failed: busy; it is tried again at 2026-03-01T09:01:00Z",
        ),
    ],
)
def test_a_run_that_comes_to_nothing_says_why(ledger: Ledger, change: dict[str, object], text: str) -> None:
    pull = a_pull(ledger)

    ledger.export(**{"due": BEFORE, "run": "n1", "cancel": "c0", **change})

    assert pull.judge(ledger.book) == (False, text)


def test_a_run_does_not_wait_for_an_account_that_rests(ledger: Ledger) -> None:
    pull = a_pull(ledger)

    ledger.account(parked="quota", reason="no more\x07", probe_at="2026-03-01T10:00:00Z")

    assert pull.judge(ledger.book) == (
        False,
        "its account shop-profit is parked (quota): no more·; it is probed at 2026-03-01T10:00:00Z",
    )


def a_history() -> History:
    return History("daily", Backfill(id="b1", start="2026-01-01", end="2026-01-10"), {"", "c0"})


def test_a_backfill_is_measured_by_what_is_left_until_nothing_is() -> None:
    ledger, history = Ledger(), a_history()
    assert history.judge(ledger.book) is None
    ledger.export(rows=3)
    assert (history.judge(ledger.book), history.is_obeyed) == (None, False)

    ledger.export(backfills=["b1"], tasks=[Task(id="b1", asked=DAYS, left=[LEFT])])
    assert history.judge(ledger.book) is None
    assert (history.is_obeyed, history.done / 86_400, history.seconds / 86_400) == (True, 7, 10)
    assert history.hindrance(ledger.book) is None

    ledger.export(backfills=["b1"], rows=1234)
    assert history.judge(ledger.book) == (True, "done; 1,234 rows stand")
    assert history.done == history.seconds


def test_a_backfill_ends_badly_when_it_is_cancelled_or_the_export_stops() -> None:
    ledger, history = Ledger(), a_history()
    task = Task(id="b1", asked=DAYS, left=[LEFT])

    ledger.export(backfills=["b1"], tasks=[task], cancel="c0", status="stopped", reason="bad key")
    assert history.judge(ledger.book) == (
        False,
        "stopped: bad key; `sluice exports resume daily` asks the vendor again",
    )

    ledger.export(cancel="c1")
    assert history.judge(ledger.book) == (False, "cancelled")


def test_what_keeps_a_backfill_waiting_is_told() -> None:
    ledger, history = Ledger(), a_history()
    ledger.export(status="paused")
    assert history.hindrance(ledger.book) == "paused; it goes on after `sluice exports resume daily`"
    ledger.export(failures=1, reason="busy\x9b", retry_at="2026-03-01T09:01:00Z")
    assert history.hindrance(ledger.book) == "failed: busy·; it is tried again at 2026-03-01T09:01:00Z"
    ledger.export(reason="held back: 3 of 4", held=HeldBack(window=None, keys="", vanishing=3, of=4))
    assert history.hindrance(ledger.book) == "held back: 3 of 4"
    ledger.account(parked="plan", reason="pay", probe_at="2026-03-01T10:00:00Z")
    assert history.hindrance(ledger.book) == (
        "its account shop-profit is parked (plan): pay; it is probed at 2026-03-01T10:00:00Z"
    )


def test_the_book_holds_the_latest_of_an_export_also_when_its_account_changed() -> None:
    ledger = Ledger()
    ledger.at = 20
    ledger.export(rows=2)
    ledger.at = 10
    ledger.write(b"daily", a_state(rows=1), partition=1)
    assert [each.rows for each in [ledger.book.state("daily")] if each] == [2]

    ledger.account(requests=7)
    ledger.write(b"daily/2026-03-01T00:00:00Z", {"no": "state"})
    assert ledger.book.exports == ["daily"]
    assert ledger.book.accounts[ACCOUNT].requests == 7

    ledger.at = 30
    ledger.write(b"daily", None)
    ledger.write(account_key(ACCOUNT), None)
    assert (ledger.book.exports, ledger.book.accounts) == ([], {})


def test_a_record_that_cannot_be_read_is_named() -> None:
    with pytest.raises(OperatorError, match="the ledger's record of daily cannot be read"):
        Ledger().write(b"daily", {"rows": "many"})
