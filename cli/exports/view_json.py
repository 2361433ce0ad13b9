"""An export as JSON data: one object, the same for `list` and `status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from runtime.spans import interval_text
from scheduler.coverage import Coverage
from scheduler.export_work import REFRESH, text

if TYPE_CHECKING:
    from cli.exports.view import View
    from schemas.ledger import Task


def as_json(view: View, now: float) -> dict[str, Any]:
    """Return everything that is known of an export; times are UTC, null where there is none. `now`: Unix seconds."""
    export, state = view.export, view.state
    age, due = view.age(now), view.next_due(now)
    return {
        "name": view.name,
        "configured": export is not None,
        "source": view.source,
        "dataset": view.dataset,
        "account": view.account_name,
        "schedule": None if export is None else export.schedule,
        "every": None if export is None or export.every is None else interval_text(export.every),
        "timezone": None if export is None else export.timezone.key,
        "lookback": None if export is None else str(export.lookback),
        "state": view.condition,
        "wanted": view.wanted,
        "reason": view.reason,
        "last_success": state.succeeded or None,
        "age_seconds": None if age is None else round(age, 3),
        "last_attempt": state.attempted or None,
        "failures": state.failures,
        "retry_at": state.retry_at or None,
        "next_due": None if due is None else text(due),
        "rows": state.rows,
        "begin": state.begin or None,
        "covered": state.covered,
        "gaps": Coverage((gap.start, gap.end) for gap in view.gaps).encode(),
        "lacking": state.lacking,
        "tasks": [_task(task) for task in state.tasks],
        "waiting_backfills": [{"id": each.id, "from": each.start, "to": each.end} for each in view.waiting],
        "held_back": None if state.held is None else msgspec.to_builtins(state.held),
        "vendor_job": None if state.job is None else msgspec.to_builtins(state.job),
        "account_state": _account(view),
    }


def _task(task: Task) -> dict[str, Any]:
    kind = "refresh" if task.id == REFRESH else "backfill"
    return {"id": task.id, "kind": kind, "asked": task.asked, "left": task.left}


def _account(view: View) -> dict[str, Any]:
    state, account = view.account_state, view.account
    return {
        "parked": state.parked or None,
        "reason": state.reason,
        "since": state.since or None,
        "probe_at": state.probe_at or None,
        "month": state.month or None,
        "requests": state.requests,
        "requests_per_month": None if account is None else account.requests_per_month,
    }
