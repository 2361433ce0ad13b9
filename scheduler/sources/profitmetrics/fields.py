"""What is wrong with an export's query, field by field, as far as it can be told without asking the vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from scheduler.sources.nearest import listed, nearest
from scheduler.sources.profitmetrics.endpoints import (
    FIELDS,
    FILLED_IN,
    INNER_FLAG,
    OUTER_FLAG,
    RESOLUTIONS,
    SITES_FIELD,
)
from schemas.currencies import CURRENCIES
from schemas.profitmetrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runtime.toml_lines import Path

_ELSEWHERE = {"sites": "csids", "csids": "sites"}


class QueryFault(NamedTuple):
    """What is wrong: `path` is within the query; empty: the query itself."""

    path: Path
    message: str
    cure: str


def query_faults(
    dataset: str, query: Mapping[str, Any], *, split: Sequence[str], timezone: str
) -> Iterator[QueryFault]:
    """Yield what is wrong with the query of an export whose dataset is one of `DATASETS`. `timezone`: the export's."""
    for name in query:
        if name not in FIELDS[dataset]:
            yield _unknown(dataset, name)
    if dataset == "metrics":
        return
    sites = SITES_FIELD[dataset]
    yield from _sites(sites, query)
    several = isinstance(query.get(sites), list) and len(query[sites]) > 1 and sites not in split
    yield from _currency(query, required=dataset == "reports" or several, why=sites)
    yield from _resolution(query)
    yield from _metrics(dataset, query)
    if "timezone" in query and query["timezone"] != timezone:
        yield QueryFault(("timezone",), f"is not the export's own timezone, {timezone}", "leave it out, or change one")
    if dataset == "reports":
        yield from _report_only(query)


def unknown_metrics(query: Mapping[str, Any]) -> Iterator[QueryFault]:
    """Yield the metrics that the built-in catalogue lacks. The vendor's own may have them: that one decides."""
    metrics = query.get("metrics")
    for index, name in enumerate(metrics if isinstance(metrics, list) else ()):
        if isinstance(name, str) and name not in METRICS:
            near = nearest(name, METRICS)
            cure = f"did you mean {near}?" if near else "the vendor's own catalogue decides when it is pulled"
            yield QueryFault(("metrics", index), "is no metric of the catalogue as it was published", cure)


def _unknown(dataset: str, name: str) -> QueryFault:
    known = FIELDS[dataset]
    if name in FILLED_IN:
        return QueryFault((name,), "is filled in by the scheduler", f"leave it out: {FILLED_IN[name]}")
    if name == "chartReports":
        message = "chart reports are deliberately not supported"
        return QueryFault((name,), message, "ask for the same metrics as a report: its rows hold what a chart shows")
    if name == "reports":
        return QueryFault((name,), "an export is one report", "write the report's fields under [exports.query] itself")
    if not known:
        return QueryFault((name,), f"the dataset {dataset} takes no fields", "leave it out")
    if name in (INNER_FLAG, OUTER_FLAG, "exchangeType"):
        return QueryFault(
            (name,), f"the dataset {dataset} has no such field", 'leave it out, or set dataset = "reports"'
        )
    near = _ELSEWHERE.get(name) or nearest(name, known)
    return QueryFault(
        (name,), "unknown field", f"did you mean {near}?" if near else f"there are {listed(known, 'and')}"
    )


def _sites(name: str, query: Mapping[str, Any]) -> Iterator[QueryFault]:
    sites, cure = query.get(name), f"list the CSIDs, like {name} = [10000394]"
    if sites is None:
        yield QueryFault((name,), "is missing", cure)
    elif not isinstance(sites, list):
        yield QueryFault((name,), "is no list", cure)
    elif not sites:
        yield QueryFault((name,), "is empty", cure)
    else:
        for index, site in enumerate(sites):
            if type(site) is not int or site < 1:  # true is an int to Python
                yield QueryFault((name, index), "is no CSID", "give the number of the site, without quotes")
            elif site in sites[:index]:
                yield QueryFault((name, index), "stands there twice", "leave it out once")


def _currency(query: Mapping[str, Any], *, required: bool, why: str) -> Iterator[QueryFault]:
    currency = query.get("currency")
    if currency is None:
        if required:
            message = "is missing" if why == "sites" else f"is missing, which several {why} need"
            yield QueryFault(("currency",), message, 'give a code of ISO 4217, like "EUR"')
    elif not isinstance(currency, str) or currency not in CURRENCIES:
        known = isinstance(currency, str) and currency.upper() in CURRENCIES
        cure = "write it in capitals" if known else 'give a code of ISO 4217, like "EUR"'
        yield QueryFault(("currency",), "is no currency", cure)


def _resolution(query: Mapping[str, Any]) -> Iterator[QueryFault]:
    resolution = query.get("resolution")
    if resolution is None:
        yield QueryFault(("resolution",), "is missing", f"give one of {listed(RESOLUTIONS)}")
    elif resolution not in RESOLUTIONS:
        yield QueryFault(("resolution",), "is none that ProfitMetrics knows", f"give one of {listed(RESOLUTIONS)}")


def _metrics(dataset: str, query: Mapping[str, Any]) -> Iterator[QueryFault]:
    metrics = query.get("metrics")
    if metrics is None or metrics == []:
        if dataset == "reports":
            yield QueryFault(
                ("metrics",), "is missing or empty", 'list what to report, like ["TURNOVER", "GROSS_PROFIT"]'
            )
        return
    if not isinstance(metrics, list):
        yield QueryFault(("metrics",), "is no list", 'list the names, like ["TURNOVER", "GROSS_PROFIT"]')
        return
    for index, name in enumerate(metrics):
        if not isinstance(name, str) or not name:
            yield QueryFault(("metrics", index), "is no name", "give the name of a metric")
        elif name in metrics[:index]:
            yield QueryFault(("metrics", index), "stands there twice", "leave it out once")
        elif dataset == "export" and name in METRICS and METRICS[name].kind != "number":
            message = f"{name} is no number: this endpoint leaves it out of its answers"
            yield QueryFault(("metrics", index), message, 'leave it out, or set dataset = "reports"')


def _report_only(query: Mapping[str, Any]) -> Iterator[QueryFault]:
    for name in (INNER_FLAG, OUTER_FLAG):
        if name in query and not isinstance(query[name], bool):
            yield QueryFault((name,), "is neither true nor false", "write true or false, without quotes")
    if query.get(INNER_FLAG) is True and query.get(OUTER_FLAG) is not True:
        yield QueryFault(
            (INNER_FLAG,), f"has no effect without {OUTER_FLAG}", f"set {OUTER_FLAG} = true beside it, or leave it out"
        )
    if query.get("exchangeType", "CURRENT") != "CURRENT":
        yield QueryFault(("exchangeType",), "is none that ProfitMetrics knows", 'leave it out, or write "CURRENT"')
