"""Where the vendor is asked, and what a request there may hold (seed 000)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.settings import ExportSettings
    from schemas.exports import Resolution

Dataset: TypeAlias = Literal["export", "reports", "metrics"]
DATASETS: Final[tuple[Dataset, ...]] = ("export", "reports", "metrics")

KEY_HEADER: Final = "X-ProfitMetrics-Action-KEY"
_ROOT: Final = "/api/key-auth/dashboard-metrics"
REPORTS_PATH: Final = f"{_ROOT}/data/reports"
EXPORT_PATH: Final = f"{_ROOT}/export/v2"
METRICS_PATH: Final = f"{_ROOT}/export/metrics"

RESOLUTIONS: Final[tuple[Resolution, ...]] = ("HOUR", "DAY", "WEEK", "MONTH", "TOTAL")

OUTER_FLAG: Final = "calculateWithNotConfiguredMarketingChannels"
"""A field of the whole request. An export is one report, so its query has the flag beside the report's own fields; the
source puts it where the vendor wants it.
"""
INNER_FLAG: Final = "allowPartialMarketingChannels"

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "reports": ("sites", "currency", "resolution", "metrics", "timezone", "exchangeType", INNER_FLAG, OUTER_FLAG),
    "export": ("csids", "currency", "resolution", "metrics", "timezone"),
    "metrics": (),
}
"""What a query may hold, by dataset."""

SITES_FIELD: Final[Mapping[str, str]] = {"reports": "sites", "export": "csids"}

FILLED_IN: Final[Mapping[str, str]] = {
    "period": "lookback, and since for history, say how far back",
    "lookbackWindow": "lookback, and since for history, say how far back",
    "comparePeriod": 'compare says how much earlier, for instance "1mo"',
    "id": "the scheduler numbers its reports itself",
}
"""What the scheduler puts into a request itself, and what the configuration has instead."""


def resolution(export: ExportSettings) -> Resolution:
    """Return the resolution of an export without conflicts."""
    return cast("Resolution", export.query["resolution"]) if export.dataset != "metrics" else "NONE"
