"""What a pull has to cover."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from scheduler import buckets
from scheduler.plan import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scheduler.plan import Plan

_UNLIMITED: Final = 2**31


def lookback(plan: Plan, now: datetime, beginning: datetime | None) -> Window:
    """Return what every regular pull covers: from local midnight so many days ago, or from the vendor's `beginning`, widened back to
    the start of its first bucket, up to the end of the running bucket.

    TOTAL is not widened and ends now. `beginning` is needed for lookback "all".
    """
    shape = plan.shape
    today = now.astimezone(shape.zone).date()
    days = plan.export.lookback.days
    start = beginning if beginning is not None else buckets.day_start(today - timedelta(days=days), shape.zone)
    end = now.astimezone(shape.zone).replace(microsecond=0)
    if shape.resolution == "TOTAL":
        return Window(start, end)
    return _widened(plan, Window(start, end + timedelta(seconds=1)))


def slices(window: Window, plan: Plan) -> Iterator[Window]:
    """Yield a window in as large pieces as the vendor answers, the newest first, all of whole buckets."""
    shape = plan.shape
    most = (shape.max_buckets or _UNLIMITED) if shape.time_axis else 1
    week_starts = plan.account.week_starts
    whole = list(buckets.buckets(_widened(plan, window), shape.resolution, shape.zone, week_starts=week_starts))
    for end in range(len(whole), 0, -most):
        yield Window(whole[max(0, end - most)].start, whole[end - 1].end)


def days(plan: Plan, first: str, last: str) -> Window:
    """Return the days from `first` to `last`, ISO dates, both included, in the export's zone, widened to whole buckets."""
    zone = plan.shape.zone
    start = buckets.day_start(date.fromisoformat(first), zone)
    end = buckets.day_start(date.fromisoformat(last) + timedelta(days=1), zone)
    window = Window(start, end)
    return window if plan.shape.resolution in ("TOTAL", "NONE") else _widened(plan, window)


def final(window: Window, plan: Plan, now: datetime) -> Window | None:
    """Return the part of a window whose buckets are over at `now`; None when none is. TOTAL and NONE have no buckets that end."""
    shape = plan.shape
    if shape.resolution in ("TOTAL", "NONE"):
        return None
    running = buckets.floor(now, shape.resolution, shape.zone, week_starts=plan.account.week_starts)
    end = min(window.end, running, key=lambda instant: instant.astimezone(UTC))
    return Window(window.start, end) if window.start.astimezone(UTC) < end.astimezone(UTC) else None


def _widened(plan: Plan, window: Window) -> Window:
    shape = plan.shape
    return buckets.widened(window, shape.resolution, shape.zone, week_starts=plan.account.week_starts)
