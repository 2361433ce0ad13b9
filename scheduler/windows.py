"""What a pull has to cover."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from scheduler import buckets
from scheduler.plan import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scheduler.plan import Plan


def lookback(plan: Plan, now: datetime, beginning: datetime | None) -> Window:
    """Return what every regular pull covers: from local midnight so many days ago, or from the vendor's `beginning`, widened back to
    the start of its first bucket, up to the end of the running bucket.

    TOTAL is not widened and ends now. `beginning` is needed for lookback "all".
    """
    shape = plan.shape
    today = now.astimezone(shape.zone).date()
    days = plan.export.lookback.days
    start = beginning if beginning is not None else buckets.day_start(today - timedelta(days=days), shape.zone)
    if shape.resolution == "TOTAL":
        return Window(start, now.astimezone(shape.zone).replace(microsecond=0))
    running = _floor(plan, now)
    end = buckets.following(running, shape.resolution, shape.zone, week_starts=plan.account.week_starts)
    return Window(_floor(plan, start), end)


def slices(window: Window, plan: Plan) -> Iterator[Window]:
    """Yield a window in as large pieces as the vendor answers, the newest first, all of whole buckets.

    A piece costs as much as its own buckets, however long the window.
    """
    shape = plan.shape
    most = shape.max_buckets if shape.time_axis else 1
    whole = _widened(plan, window)
    first, end = whole.start.astimezone(UTC), whole.end
    while first < end.astimezone(UTC):
        start = whole.start if most is None else _back(plan, end, most, first)
        yield Window(start, end)
        end = start


def days(plan: Plan, first: str, last: str) -> Window:
    """Return the days from `first` to `last`, ISO dates, both included, in the export's zone, widened to whole buckets."""
    zone = plan.shape.zone
    start = buckets.day_start(date.fromisoformat(first), zone)
    end = buckets.day_start(date.fromisoformat(last) + timedelta(days=1), zone)
    window = Window(start, end)
    return window if plan.shape.resolution in ("TOTAL", "NONE") else _widened(plan, window)


def final(window: Window, plan: Plan, now: datetime) -> Window | None:
    """Return the part of a window that is whole buckets which are over at `now`; None when there is none.

    A bucket that the window begins or ends within, as after a vendor's clamp, is no part of it. TOTAL and NONE have no
    buckets that end.
    """
    shape = plan.shape
    if shape.resolution in ("TOTAL", "NONE"):
        return None
    start = _floor(plan, window.start)
    if start.astimezone(UTC) < window.start.astimezone(UTC):
        start = buckets.following(start, shape.resolution, shape.zone, week_starts=plan.account.week_starts)
    end = _floor(plan, min(window.end, now, key=lambda instant: instant.astimezone(UTC)))
    return Window(start, end) if start.astimezone(UTC) < end.astimezone(UTC) else None


def _back(plan: Plan, end: datetime, count: int, first: datetime) -> datetime:
    """Return the start of the `count`th bucket before `end`, or of the one that begins at `first`, whichever is later."""
    shape, start = plan.shape, end
    for _ in range(count):
        if start.astimezone(UTC) <= first:
            break
        start = buckets.preceding(start, shape.resolution, shape.zone, week_starts=plan.account.week_starts)
    return start


def _floor(plan: Plan, instant: datetime) -> datetime:
    return buckets.floor(instant, plan.shape.resolution, plan.shape.zone, week_starts=plan.account.week_starts)


def _widened(plan: Plan, window: Window) -> Window:
    shape = plan.shape
    return buckets.widened(window, shape.resolution, shape.zone, week_starts=plan.account.week_starts)
