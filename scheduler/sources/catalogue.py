"""Which vendors there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.sources.interface import Vendor


def vendor_of(source: str) -> Vendor | None:
    """Return the vendor that a configuration calls `source`; None when this version cannot pull from it."""
    match source:
        case "profitmetrics":
            from scheduler.sources.profitmetrics.vendor import ProfitMetrics  # noqa: PLC0415  # only what is configured is loaded

            return ProfitMetrics()
        case "tolinku":
            from scheduler.sources.tolinku.vendor import Tolinku  # noqa: PLC0415  # as above

            return Tolinku()
    return None
