"""Times and spans of exports as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.spans import interval_text
from scheduler.export_work import instant

if TYPE_CHECKING:
    from cli.exports.view import View
    from runtime.settings import ExportSettings
    from scheduler.plan import Window

_UNITS: Final = (("d", 86_400), ("h", 3600), ("m", 60))
_FROM: Final = 2
"""From how many of a unit on it is used: 90 s say more than 1 m."""


def duration(seconds: float) -> str:
    """Return `90 s`, `12 m`, `5 h` or `3 d`: one number, rounded down."""
    for unit, size in _UNITS:
        if seconds >= _FROM * size:
            return f"{seconds // size:,.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def moment(seconds: float) -> str:
    """Return a Unix time to the second, in UTC."""
    return instant(seconds).strftime("%Y-%m-%d %H:%M:%SZ")


def counted(rows: int) -> str:
    """Return how many rows an export has in all."""
    return "1 row stands" if rows == 1 else f"{rows:,} rows stand"


def schedule(export: ExportSettings) -> str:
    """Return when an export is due: cron as it is configured, or the interval."""
    return f"every {interval_text(export.every)}" if export.every is not None else export.schedule or ""


def days(view: View, window: Window) -> str:
    """Return a window as days of the export's zone, both included; one day alone."""
    first, last = view.days(window)
    return f"{first}" if first == last else f"{first} to {last}"
