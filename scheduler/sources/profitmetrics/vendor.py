"""ProfitMetrics as the configuration sees it: three datasets, each an endpoint of seed 000.

`reports` (`data/reports`) answers exact windows, compares periods, and knows every metric. An export of it is one report: its
query has the report's fields and, beside them, `calculateWithNotConfiguredMarketingChannels`, which belongs to the whole
request. `export` (`export/v2`) always reaches from some day up to now; what a window does not want of it is thrown away.
`metrics` (`export/metrics`) is the live catalogue.

Deliberately not supported: `export/csv`, which is deprecated, and chart reports, which hold nothing that the rows of a report
do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime.cross_checks import Conflict
from scheduler.credentials import KeyCredentials
from scheduler.plan import Shape
from scheduler.sources.interface import Vendor
from scheduler.sources.nearest import listed, nearest
from scheduler.sources.profitmetrics.endpoints import DATASETS, KEY_HEADER, SITES_FIELD, resolution
from scheduler.sources.profitmetrics.fields import query_faults, unknown_metrics
from scheduler.sources.profitmetrics.source import ProfitMetricsSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runtime.settings import AccountSettings, ExportSettings
    from runtime.toml_lines import Path
    from scheduler.caller import Caller
    from scheduler.credentials import Credentials
    from scheduler.sources.interface import Source
    from schemas.exports import Resolution

MAX_BUCKETS: Final[Mapping[Resolution, int | None]] = {
    "HOUR": 31 * 24,
    "DAY": 366,
    "WEEK": 105,
    "MONTH": 60,
    "TOTAL": None,
}
"""The most buckets that one report spans. The vendor documents no limit and says that it is busy when it is; a month of
hours with every metric is an answer of some 12 MB.
"""

_OTHER_CREDENTIALS: Final = ("client_id", "client_secret", "login", "password", "scope")
_NOT_SUPPORTED: Final = {
    "csv": ("export/csv is deprecated by the vendor and deliberately not supported", 'set dataset = "export"'),
    "export.csv": ("export/csv is deprecated by the vendor and deliberately not supported", 'set dataset = "export"'),
    "chartReports": (
        "chart reports are deliberately not supported: the rows of a report hold what a chart shows",
        'set dataset = "reports"',
    ),
}


class ProfitMetrics(Vendor):
    """The vendor. An account is an API key with the scope METRICS_READ; an export of `reports` is one report."""

    def account_conflicts(self, account: AccountSettings, path: Path) -> Iterator[Conflict]:
        """Yield what is wrong with the account's credentials: the API key alone is wanted."""
        if account.api_key is None:
            yield Conflict(
                ((*path, "api_key"),), "is required by profitmetrics", "add a key with the scope METRICS_READ"
            )
        for key in _OTHER_CREDENTIALS:
            if getattr(account, key) is not None:
                yield Conflict(
                    ((*path, key),), "is not used by profitmetrics", "leave it out; its credentials are api_key"
                )

    def export_conflicts(self, account: AccountSettings, export: ExportSettings, path: Path) -> Iterator[Conflict]:
        """Yield what is wrong with the export and its query. Metrics that are not built in are no conflict: see `warnings`."""
        del account
        dataset = export.dataset
        if dataset not in DATASETS:
            near = nearest(dataset, DATASETS)
            usual = f'did you mean "{near}"?' if near else f"give one of {listed(DATASETS)}"
            message, cure = _NOT_SUPPORTED.get(dataset, ("profitmetrics has no such dataset", usual))
            yield Conflict(((*path, "dataset"),), message, cure)
            return
        yield from _keys(export, path)
        for fault in query_faults(dataset, export.query, split=export.split, timezone=export.timezone.key):
            yield Conflict(((*path, "query", *fault.path), (*path, "dataset")), fault.message, fault.cure)

    def warnings(self, export: ExportSettings, path: Path) -> Iterator[Conflict]:
        """Yield the metrics that only the vendor's live catalogue may know, which decides when they are pulled."""
        for fault in unknown_metrics(export.query):
            yield Conflict(((*path, "query", *fault.path),), fault.message, fault.cure)

    def shape(self, account: AccountSettings, export: ExportSettings) -> Shape:
        """Return how it will answer. Ranges of `export` have no limit: an answer reaches up to now, whatever is wanted of it."""
        del account
        resolved = resolution(export)
        if export.dataset == "metrics":
            return Shape(resolved, export.timezone, dated=False)
        return Shape(
            resolved, export.timezone, max_buckets=MAX_BUCKETS[resolved] if export.dataset == "reports" else None
        )

    def credentials(self, account: AccountSettings) -> Credentials:
        """Return the account's key."""
        if account.api_key is None:
            raise ValueError(f"account {account.name} has conflicts")
        return KeyCredentials(KEY_HEADER, account.api_key)

    def open(self, account: AccountSettings, caller: Caller) -> Source:
        """Return the source of this account."""
        return ProfitMetricsSource(caller, account.week_starts)


def _keys(export: ExportSettings, path: Path) -> Iterator[Conflict]:
    """Yield what is wrong with the keys beside the query."""
    dataset: Path = (*path, "dataset")
    if export.resolution is not None:
        cure = "leave it out" if export.dataset == "metrics" else "write it under [exports.query]"
        yield Conflict(((*path, "resolution"), dataset), "is not used: the vendor's query has it", cure)
    if export.compare is not None and export.dataset != "reports":
        yield Conflict(
            ((*path, "compare"), dataset),
            f"the dataset {export.dataset} compares nothing",
            'leave it out, or set dataset = "reports"',
        )
    yield from _compare(export, path)
    if export.lookback.kind == "query" and export.dataset != "metrics":
        yield Conflict(
            ((*path, "lookback"), dataset), "the query holds no dates here", 'give a number of days like "3d", or "all"'
        )
    for key in ("id", "drop"):
        if getattr(export, key):
            yield Conflict(((*path, key), dataset), "is not used by profitmetrics", "leave it out")
    splits = SITES_FIELD.get(export.dataset)
    for index, name in enumerate(export.split):
        if name == "metrics" and export.dataset != "metrics":
            message, cure = "metrics stand side by side in each row already", "leave it out"
        elif name != splits:
            message, cure = (
                "is no list to split",
                "leave it out" if splits is None else f'split = ["{splits}"] is what there is',
            )
        else:
            continue
        yield Conflict(((*path, "split", index), dataset), message, cure)
    if export.dataset == "metrics" and export.since is not None:
        yield Conflict(((*path, "since"), dataset), "the catalogue has no history", "leave it out")


def _compare(export: ExportSettings, path: Path) -> Iterator[Conflict]:
    """Yield where the earlier buckets would not be whole ones."""
    compare, buckets = export.compare, export.query.get("resolution")
    paths: tuple[Path, ...] = ((*path, "compare"), (*path, "query", "resolution"))
    if compare is None or export.dataset != "reports":
        return
    if buckets == "WEEK" and (compare.months or compare.days % 7):
        yield Conflict(
            paths, "is no number of weeks, while the buckets are weeks", 'give whole weeks, like "4w" or "52w"'
        )
    if buckets == "MONTH" and compare.days:
        yield Conflict(
            paths, "is no number of months, while the buckets are months", 'give months or years, like "1mo" or "1y"'
        )
