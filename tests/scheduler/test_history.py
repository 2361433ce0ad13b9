"""What of an export's past is asked for, and when there is an end to it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import structlog
from msgspec.structs import replace
from pydantic import SecretStr

from runtime.clock import SystemClock
from runtime.metrics import Metrics
from runtime.settings import AccountSettings, ExportSettings
from scheduler.export_work import ExportWork, text
from scheduler.plan import Plan, Shape, Window
from scheduler.question import as_span
from scheduler.report import Report
from scheduler.schedule import Schedule
from schemas.commands import Backfill, ExportCommand
from schemas.ledger import ExportState, VendorJob

if TYPE_CHECKING:
    from collections.abc import Callable

    from scheduler.export_work import Step

ZONE = ZoneInfo("Europe/Copenhagen")
NOW = datetime(2026, 11, 20, 12, tzinfo=ZONE)


def a_work(*, total: bool = False, state: ExportState | None = None, **more: Any) -> ExportWork:
    account = AccountSettings(name="a", source="profitmetrics", url="http://127.0.0.1", api_key=SecretStr("k"))
    export = ExportSettings.model_validate(
        {"name": "e", "account": "a", "dataset": "reports", "schedule": "0 4 * * *", "lookback": "3d", **more}
        | {"timezone": ZONE.key}
    )
    shape = Shape("TOTAL" if total else "DAY", ZONE, max_buckets=10)
    refresh = None if export.refresh is None else Schedule(expression=export.refresh, zone=ZONE)
    return ExportWork(Plan(export, account, shape), Schedule.of(export), refresh, state, NOW.timestamp())


def _day(iso: str) -> datetime:
    return datetime.fromisoformat(iso).replace(tzinfo=ZONE)


def _pulled(work: ExportWork, step: Step, covered: Window | None, now: datetime = NOW) -> None:
    work.state = work.published(step, covered, now, 0, last=True)
    work.done(step)


def _all_steps(work: ExportWork, vendor: Callable[[Window], Window | None]) -> list[str]:
    """Pull until nothing is wanted any more; return the windows asked for."""
    asked: list[str] = []
    while (step := work.next(NOW.timestamp())) is not None:
        assert step.window is not None
        asked.append(f"{step.window.start:%m-%d}/{step.window.end:%m-%d}")
        assert len(asked) < 20, asked
        _pulled(work, step, vendor(step.window))
    return asked


def test_history_is_asked_for_from_now_back() -> None:
    work = a_work(since="2026-10-25")
    assert _all_steps(work, lambda window: window) == ["11-17/11-21", "11-07/11-17", "10-28/11-07", "10-25/10-28"]
    assert work.state.covered == [("2026-10-24T22:00:00Z", "2026-11-19T23:00:00Z")]


def test_what_the_vendor_does_not_keep_any_more_is_asked_for_once() -> None:
    def kept(window: Window) -> Window | None:
        start = max(window.start, _day("2026-11-02"))
        return Window(start, window.end) if start < window.end else None

    work = a_work(since="2026-10-25")
    assert _all_steps(work, kept) == ["11-17/11-21", "11-07/11-17", "10-28/11-07", "10-25/10-28"]
    assert work.state.covered == [("2026-11-01T23:00:00Z", "2026-11-19T23:00:00Z")]
    assert work.state.lacking == [("2026-10-24T22:00:00Z", "2026-11-01T23:00:00Z")]
    work.state = (
        work.obey(ExportCommand(backfills=[Backfill(id="b", start="2026-10-25", end="2026-10-26")])) or work.state
    )
    assert _all_steps(work, lambda window: window) == ["10-25/10-27"]
    assert work.state.tasks == []
    assert work.state.lacking == [("2026-10-26T23:00:00Z", "2026-11-01T23:00:00Z")]


def test_what_the_vendor_cuts_off_at_the_end_is_asked_for_again() -> None:
    def four_days(window: Window) -> Window | None:
        return Window(window.start, min(window.end, window.start + timedelta(days=4)))

    work = a_work(since="2026-11-07")
    assert _all_steps(work, four_days) == ["11-17/11-21", "11-07/11-17", "11-11/11-17", "11-15/11-17"]
    assert work.state.lacking == []


def test_an_earlier_since_is_history_too() -> None:
    work = a_work(since="2026-11-10")
    _all_steps(work, lambda window: window)
    earlier = a_work(since="2026-11-05", state=work.state)
    assert _all_steps(earlier, lambda window: window)[-1] == "11-05/11-10"


def test_a_backfill_of_what_has_no_history_is_not_taken_up() -> None:
    work = a_work(total=True)
    changed = work.obey(ExportCommand(backfills=[Backfill(id="b", start="2026-10-25", end="2026-10-26")]))
    assert changed is not None
    assert (changed.tasks, changed.backfills) == ([], ["b"])


def test_a_refresh_is_due_by_its_own_clock() -> None:
    work = a_work(refresh="0 6 * * 6", since="2026-11-10")
    _all_steps(work, lambda window: window)
    work.state = work.refreshed(NOW.timestamp()) or work.state
    assert work.refreshed(NOW.timestamp()) is None
    saturday = _day("2026-11-21T06:00:00").timestamp()
    work.due = _day("2026-11-22T04:00:00").timestamp()
    assert work.ready(NOW.timestamp()) == (saturday, False)
    assert work.refreshed(saturday - 1) is None
    work.state = work.refreshed(saturday) or work.state
    step = work.next(saturday)
    assert step is not None
    assert as_span(step.window) == ("2026-11-09T23:00:00Z", "2026-11-19T23:00:00Z")
    _pulled(work, step, step.window)
    assert work.next(saturday) is None


def test_a_vendor_job_over_all_time_is_taken_up_with_its_own_window() -> None:
    work = a_work(total=True)
    step = work.next(NOW.timestamp())
    assert step is not None
    job = VendorJob(window=as_span(step.window), ask=0, handle={"task": "t"})
    later = a_work(total=True, state=replace(work.state, job=job, due=text(NOW.timestamp() - 86_400)))
    again = later.next(NOW.timestamp() + 60)
    assert again is not None
    assert as_span(again.window) == job.window


def test_a_run_that_was_obeyed_and_not_carried_out_is_due_for_whoever_takes_over() -> None:
    pulled = replace(a_work().state, due=NOW.isoformat())
    work = a_work(state=pulled)
    assert work.due > NOW.timestamp()
    obeyed = work.obey(ExportCommand(run="1"))
    assert obeyed is not None
    assert a_work(state=obeyed).due == NOW.timestamp()


def test_who_takes_over_tells_when_it_succeeded_last() -> None:
    metrics = Metrics()
    report = Report(metrics, SystemClock(), structlog.get_logger("test"))
    name = "sluice_export_last_success_timestamp_seconds"
    report.took_over(a_work())
    assert metrics.registry.get_sample_value(name, {"export": "e"}) is None
    report.took_over(a_work(state=replace(a_work().state, succeeded=NOW.isoformat())))
    assert metrics.registry.get_sample_value(name, {"export": "e"}) == NOW.timestamp()
