"""Checks of an upper room, asked only about what is right so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from runtime.cross_checks import Conflict
    from runtime.settings import Settings
    from runtime.toml_lines import Path

__all__ = ["further_conflicts"]

_OF_TABLE: Final = 2
# What says whose an account or an export is: with one of these wrong, nothing else in it can be judged.
_DECISIVE: Final = frozenset({"source", "account", "dataset"})


def further_conflicts(
    more: Callable[[Settings], Iterable[Conflict]], settings: Settings, touched: Sequence[Path]
) -> Iterator[Conflict]:
    """Yield what `more` finds in `settings`, its paths as in `settings`.

    It is asked about the settings without the accounts and exports of which it is not known what they are: `touched` are
    the paths that no longer hold what was given. What stays may still hold defaults in place of faulty values; conflicts
    about those are the caller's to leave out.
    """
    unknown = {path[:_OF_TABLE] for path in touched if len(path) == _OF_TABLE or (path[2:3] and path[2] in _DECISIVE)}
    accounts = [index for index in range(len(settings.accounts)) if ("accounts", index) not in unknown]
    names = {settings.accounts[index].name for index in accounts}
    exports = [
        index
        for index, export in enumerate(settings.exports)
        if ("exports", index) not in unknown and export.account in names
    ]
    kept = {"accounts": accounts, "exports": exports}
    asked = settings.model_copy(
        update={table: [getattr(settings, table)[index] for index in kept[table]] for table in kept}
    )
    for conflict in more(asked):
        yield conflict._replace(paths=tuple(_as_given(path, kept) for path in conflict.paths))


def _as_given(path: Path, kept: dict[str, list[int]]) -> Path:
    """Return the path in the whole settings of what stands at `path` in those without the unknown tables."""
    match path:
        case (str(table), int(index), *rest) if table in kept:
            return (table, kept[table][index], *rest)
    return path
