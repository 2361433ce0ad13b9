"""What of an export's past is wanted and not there: behind `since`, in gaps, in backfills and refreshes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from scheduler.coverage import Coverage
from scheduler.plan import Window
from scheduler.windows import days, final, slices

if TYPE_CHECKING:
    from scheduler.plan import Plan
    from schemas.ledger import ExportState


def newest(plan: Plan, state: ExportState, recent: datetime) -> Window | None:
    """Return the newest window of history to ask for, as large as the vendor answers; None when nothing is wanted. The plan has history.

    `recent`: from when on every regular pull asks anyway.
    """
    gaps: list[Window] = []
    begin = _wanted_from(plan, state)
    if begin is not None and begin.astimezone(UTC) < recent.astimezone(UTC):
        settled = Coverage.decode([*state.covered, *state.lacking])
        gaps += settled.gaps(Window(begin, recent))
    for task in state.tasks:
        gaps += Coverage.decode(task.left).windows()
    gap = max(gaps, key=lambda gap: gap.end.astimezone(UTC), default=None)
    return None if gap is None else next(slices(gap, plan), None)


def covering(plan: Plan, state: ExportState, piece: Window | None, now: datetime) -> ExportState:
    """Return the state after a piece is published: its whole buckets that are over at `now` enter coverage."""
    over = None if piece is None else final(piece, plan, now)
    return state if over is None else replace(state, covered=Coverage.decode(state.covered).with_(over).encode())


def settling(plan: Plan, state: ExportState, asked: Window, now: datetime) -> ExportState:
    """Return the state once all that `asked` brought is covered.

    What lies before that the vendor has no more, or never had: it would be the same if it were asked for again. What lies
    behind it is asked for again, unless nothing at all came.
    """
    tasks = [replace(task, left=Coverage.decode(task.left).without(asked).encode()) for task in state.tasks]
    lacking = Coverage.decode(state.lacking)
    over = final(asked, plan, now)
    if over is not None:
        coverage = Coverage.decode(state.covered)
        for gap in coverage.gaps(over):
            if gap.start.astimezone(UTC) == over.start.astimezone(UTC):
                lacking = lacking.with_(gap)
        for span in coverage.windows():
            lacking = lacking.without(span)
    return replace(state, tasks=[task for task in tasks if task.left], lacking=lacking.encode())


def _wanted_from(plan: Plan, state: ExportState) -> datetime | None:
    """Return from when on there is to be no gap: where the first regular pull began, or `since` if that is earlier."""
    if not state.begin:
        return None
    begin = datetime.fromisoformat(state.begin)
    since = plan.export.since
    if since is None:
        return begin
    return min(
        begin, days(plan, since.isoformat(), since.isoformat()).start, key=lambda instant: instant.astimezone(UTC)
    )
