"""What is wrong between the keys of accounts and exports that are right one by one, whatever their vendor."""

from __future__ import annotations

import difflib
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from runtime.cross_checks import Conflict, is_header_text
from runtime.faults import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.settings import ExportSettings, Settings
    from runtime.toml_lines import Path

_CLOSE: Final = 0.6


def export_conflicts(settings: Settings, now: float) -> Iterator[Conflict]:
    """Yield everything that is wrong between the keys of accounts and exports. `now`: seconds since the epoch."""
    yield from _repeated("accounts", [account.name for account in settings.accounts])
    yield from _repeated("exports", [export.name for export in settings.exports])
    yield from _credentials(settings)
    accounts = [account.name for account in settings.accounts]
    for index, export in enumerate(settings.exports):
        path: Path = ("exports", index)
        if export.account not in accounts:
            # An account whose name is faulty may be the one: then this is not told.
            names: list[Path] = [("accounts", other, "name") for other in range(max(1, len(accounts)))]
            yield Conflict(((*path, "account"), *names), "there is no such account", _which(export.account, accounts))
        yield from _when(export, path, now)
        yield from _dates(export, path)
        yield from _fields(export, path)
        yield from _split(export, path)


def _repeated(table: str, names: Sequence[str]) -> Iterator[Conflict]:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        other = first.setdefault(name, index)
        if other != index:
            path: Path = (table, index, "name")
            earlier: Path = (table, other, "name")
            cure = f"give each {table.removesuffix('s')} a name of its own"
            yield Conflict((path, earlier), f"is {dotted(earlier)} too", cure)


def _credentials(settings: Settings) -> Iterator[Conflict]:
    for index, account in enumerate(settings.accounts):
        for key in ("api_key", "client_secret"):
            secret = getattr(account, key)
            if secret is not None and not is_header_text(secret.get_secret_value()):
                message = "holds characters that no HTTP header may"
                yield Conflict((("accounts", index, key),), message, "a key is printable ASCII without spaces")


def _split(export: ExportSettings, path: Path) -> Iterator[Conflict]:
    lists = [key for key, value in export.query.items() if isinstance(value, list)]
    for index, name in enumerate(export.split):
        here: tuple[Path, ...] = ((*path, "split", index), (*path, "query"))
        if name in export.split[:index]:
            yield Conflict(here, "stands there twice", "leave it out once")
        elif name not in lists:
            near = difflib.get_close_matches(name, lists, n=1, cutoff=_CLOSE)
            cure = f'did you mean "{near[0]}"?' if near else "name one that stands under [exports.query]"
            yield Conflict(here, "is no list of the query", cure)
        elif not _is_splittable(export.query[name]):
            message = "names a list that cannot be asked value by value"
            yield Conflict(here, message, "fill it with different texts or numbers")


def _is_splittable(values: Sequence[Any]) -> bool:
    scalars = all(isinstance(value, str | int | float) for value in values)
    return scalars and 0 < len(values) == len(set(values))


def _which(name: str, accounts: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, accounts, n=1, cutoff=_CLOSE)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"name one of {', '.join(sorted(set(accounts)))}" if accounts else "add it under [[accounts]]"


def _when(export: ExportSettings, path: Path, now: float) -> Iterator[Conflict]:
    both = ((*path, "schedule"), (*path, "every"))
    if export.schedule is None and export.every is None:
        yield Conflict(both, "is missing", "add it, or every")
    if export.schedule is not None and export.every is not None:
        yield Conflict(both, f"is not used with {dotted(both[1])}", "leave one of them out")
    if export.since is not None and export.since > datetime.fromtimestamp(now, export.timezone).date():
        message = "lies in the future: there is no history to fetch"
        yield Conflict(((*path, "since"), (*path, "timezone")), message, "give a day that has begun, or leave it out")


def _dates(export: ExportSettings, path: Path) -> Iterator[Conflict]:
    if export.lookback.kind != "query":
        return
    for key in ("since", "refresh", "compare"):
        if getattr(export, key) is not None:
            message = 'is not used with lookback "query": the dates stand in the query'
            yield Conflict(((*path, key), (*path, "lookback")), message, "leave it out, or give another lookback")


def _fields(export: ExportSettings, path: Path) -> Iterator[Conflict]:
    for index, name in enumerate(export.drop):
        if name in export.id:
            paths: tuple[Path, ...] = ((*path, "drop", index), (*path, "id"))
            yield Conflict(paths, f"stands in {dotted(paths[1])} too: it is sent on", "leave it out of one of them")
