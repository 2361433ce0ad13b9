"""Tolinku as the configuration sees it: twelve datasets, each a query endpoint of seed 003.

The vendor knows whole days and sums over them. Only `revenue-timeseries` has a time axis; the others are asked once for
each bucket, except `cohorts`, whose months are not those of the question. Lists that may be split: `model` and `window` of
`attribution`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runtime.cross_checks import PUBLISHABLE, SECRET, Conflict
from scheduler.credentials import KeyCredentials
from scheduler.plan import Shape
from scheduler.sources.interface import Vendor
from scheduler.sources.nearest import listed, nearest
from scheduler.sources.tolinku.datasets import DATASETS, DATES
from scheduler.sources.tolinku.parameters import as_day
from scheduler.sources.tolinku.source import TolinkuSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.settings import AccountSettings, ExportSettings
    from runtime.toml_lines import Path
    from scheduler.caller import Caller
    from scheduler.credentials import Credentials
    from scheduler.sources.interface import Source
    from scheduler.sources.tolinku.datasets import Dataset
    from scheduler.sources.tolinku.parameters import Parameter
    from schemas.exports import Resolution

KEY_HEADER: Final = "X-API-Key"
MAX_BUCKETS: Final = 366
"""The most days that one question for `revenue-timeseries` spans: a year. The vendor tells no limit but its plans'."""

_OTHER_CREDENTIALS: Final = ("client_id", "client_secret", "login", "password", "scope")
_JOURNEY: Final = "user-journey"


class Tolinku(Vendor):
    """The vendor. An account is a secret key, and so one appspace."""

    def account_conflicts(self, account: AccountSettings, path: Path) -> Iterator[Conflict]:
        """Yield what is wrong with the account's credentials: a secret key alone is wanted."""
        here: tuple[Path, ...] = ((*path, "api_key"),)
        if account.api_key is None:
            yield Conflict(here, "is required by tolinku", f"add a secret key, {SECRET}…")
        elif account.api_key.get_secret_value().startswith(PUBLISHABLE):
            yield Conflict(here, "is a publishable key; it may not read analytics", f"give a secret one, {SECRET}…")
        for key in _OTHER_CREDENTIALS:
            if getattr(account, key) is not None:
                yield Conflict(((*path, key),), "is not used by tolinku", "leave it out; its credentials are api_key")

    def export_conflicts(self, account: AccountSettings, export: ExportSettings, path: Path) -> Iterator[Conflict]:
        """Yield what is wrong with the export and its query."""
        del account
        dataset = DATASETS.get(export.dataset)
        if dataset is None:
            yield _no_dataset(export.dataset, (*path, "dataset"))
            return
        yield from _keys(export, dataset, path)
        yield from _resolution(export, dataset, path)
        yield from _query(export, dataset, path)

    def shape(self, account: AccountSettings, export: ExportSettings) -> Shape:
        """Return how it will answer. The vendor does not say in which zone its days are: they are taken for the export's."""
        del account
        dataset = DATASETS[export.dataset]
        return Shape(
            export.resolution or _resolutions(export, dataset)[0],
            export.timezone,
            time_axis=dataset.time_axis,
            max_buckets=MAX_BUCKETS if dataset.time_axis else None,
            dated=export.lookback.kind != "query",
        )

    def credentials(self, account: AccountSettings) -> Credentials:
        """Return the account's key."""
        if account.api_key is None:
            raise ValueError(f"account {account.name} has conflicts")
        return KeyCredentials(KEY_HEADER, account.api_key)

    def open(self, account: AccountSettings, caller: Caller) -> Source:
        """Return the source of this account."""
        return TolinkuSource(caller, end_inclusive=account.end_inclusive)


def _no_dataset(name: str, path: Path) -> Conflict:
    if name == _JOURNEY:
        return Conflict(
            (path,), f"{_JOURNEY} is about one user, and no dataset", "ask for it with `sluice exports journey USER`"
        )
    near = nearest(name, list(DATASETS))
    cure = f'did you mean "{near}"?' if near is not None else f"give one of {listed(list(DATASETS))}"
    return Conflict((path,), f"tolinku has no dataset {name!r}", cure)


def _resolutions(export: ExportSettings, dataset: Dataset) -> tuple[Resolution, ...]:
    """Return what the export's rows can be, the first by default: whoever writes the dates into the query gets no buckets."""
    if export.lookback.kind == "query" and not dataset.time_axis:
        return ("TOTAL",)
    return tuple(dataset.resolutions)


def _resolution(export: ExportSettings, dataset: Dataset, path: Path) -> Iterator[Conflict]:
    possible = _resolutions(export, dataset)
    if export.resolution is None or export.resolution in possible:
        return
    paths: tuple[Path, ...] = ((*path, "resolution"), (*path, "dataset"), (*path, "lookback"))
    cure = f"give {listed(possible)}" if len(possible) > 1 else f"leave it out, it is {possible[0]}"
    if export.resolution == "HOUR":
        yield Conflict(paths, "the vendor knows whole days only", cure)
    elif possible != tuple(dataset.resolutions):
        yield Conflict(paths, 'lookback "query" has no buckets', cure)
    else:
        yield Conflict(paths, f"{dataset.name} does not answer by {export.resolution}", cure)


def _keys(export: ExportSettings, dataset: Dataset, path: Path) -> Iterator[Conflict]:
    """Yield what is wrong with the keys beside resolution and query."""
    there: Path = (*path, "dataset")
    if export.compare is not None:
        yield Conflict(((*path, "compare"), there), "is not supported: the vendor compares nothing", "leave it out")
    for key in ("id", "drop"):
        if getattr(export, key):
            yield Conflict(((*path, key), there), "is for datasets of records", "leave it out")
    can_be_split = [name for name, parameter in dataset.parameters.items() if parameter.splits]
    for index, name in enumerate(export.split):
        if name not in can_be_split:
            cure = f"split {listed(can_be_split)}" if can_be_split else "leave it out"
            yield Conflict(((*path, "split", index), there), f"{dataset.name} cannot be split by {name!r}", cure)


def _query(export: ExportSettings, dataset: Dataset, path: Path) -> Iterator[Conflict]:
    dates_are_here = export.lookback.kind == "query"
    known: dict[str, Parameter] = {**dataset.parameters, **DATES}
    for name, value in export.query.items():
        here: Path = (*path, "query", name)
        if name not in known:
            yield _unknown(name, list(known if dates_are_here else dataset.parameters), dataset.name, here, path)
        elif name in DATES and not dates_are_here:
            cure = 'leave it out, or set lookback = "query"'
            yield Conflict((here, (*path, "lookback")), "is filled in by the scheduler", cure)
        else:
            yield from _value(known[name], value, here, split=name in export.split)
    if dates_are_here:
        yield from _period(export.query, path)


def _unknown(name: str, known: list[str], dataset: str, here: Path, path: Path) -> Conflict:
    near = nearest(name, known)
    if near is not None:
        cure = f'did you mean "{near}"?'
    else:
        cure = f"there is {listed(known)}" if known else "leave it out: there is none but the dates"
    return Conflict((here, (*path, "dataset")), f"is no parameter of {dataset}", cure)


def _value(parameter: Parameter, value: Any, here: Path, *, split: bool) -> Iterator[Conflict]:
    if not isinstance(value, list):
        fault = parameter.fault(value)
        if fault is not None:
            yield Conflict((here,), *fault)
        return
    if not split:
        cure = "give one value, or name it in split" if parameter.splits else "give one value"
        yield Conflict((here,), "is a list", cure)
        return
    for index, item in enumerate(value):
        fault = parameter.fault(item)
        if fault is not None:
            yield Conflict(((*here, index),), *fault)


def _period(query: dict[str, Any], path: Path) -> Iterator[Conflict]:
    """Yield what is wrong between the dates of a query."""
    start, end = (*path, "query", "start"), (*path, "query", "end")
    if ("start" in query) != ("end" in query):
        here, missing = (start, "end") if "start" in query else (end, "start")
        yield Conflict((here,), f"is used with {missing} only", f"add {missing}, or leave both out")
    elif "start" in query:
        if "days" in query:
            cure = "leave it out, or the other two"
            yield Conflict(((*path, "query", "days"), start, end), "is ignored where start and end are given", cure)
        try:
            ends_first = as_day(query["end"]) < as_day(query["start"])
        except ValueError:
            return  # told already, value by value
        if ends_first:
            yield Conflict((end, start), "is before start", "exchange them")
