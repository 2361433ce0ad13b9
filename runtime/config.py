"""Loads the configuration: TOML, overridden by environment variables, secrets resolved (DESIGN §4).

Whatever is wrong is told at once: each fault with its key, its line and its cure.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from runtime import environment
from runtime.clock import SystemClock
from runtime.cross_checks import conflicts
from runtime.development import add_development
from runtime.diagnosis import Origins, explain, repaired
from runtime.export_checks import export_conflicts
from runtime.faults import ConfigError, Fault
from runtime.further_checks import further_conflicts
from runtime.references import ENVIRON
from runtime.settings import Settings
from runtime.toml_lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from runtime.clock import Clock
    from runtime.cross_checks import Conflict
    from runtime.toml_lines import Path

__all__ = ["DEFAULT_FILE", "ConfigError", "Fault", "find", "load", "placed"]

DEFAULT_FILE: Final = FilePath("sluice.toml")

_AT_LINE: Final = re.compile(r" \(at line (\d+), column \d+\)| \(at end of document\)")


def find(path: FilePath | None = None) -> FilePath | None:
    """Return the file that `load(path)` reads: the one named, else sluice.toml if present, else None."""
    if path is not None:
        return path
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def load(
    path: FilePath | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    more: Callable[[Settings], Iterable[Conflict]] | None = None,
    clock: Clock | None = None,
) -> Settings:
    """Return the settings that the file `path` and `environ` make together.

    `path` None: sluice.toml if present, else the development defaults (`runtime.development`). `environ` None: the
    process's. `more`: further checks, by a room that knows more; it sees settings whose every key is right or at its
    default, without the accounts and exports of which it is not known what they are, and its conflicts are told like
    all others. `clock` None: the system's. Raises ConfigError with every fault. Waits for nothing but the files that the
    configuration names.
    """
    environ = dict(os.environ if environ is None else environ)
    file = find(path)
    tree, origins = _tree(file, environ)
    faults = list(environment.unknown(environ, frozenset(_references(tree))))
    if file is None and "storefronts" not in tree:
        faults += add_development(tree, origins)
    settings, touched, wrong = _validated(tree, {ENVIRON: environ}, origins)
    faults += wrong
    now = (SystemClock() if clock is None else clock).now()
    found = [*conflicts(settings), *export_conflicts(settings, now)]
    if more is not None:
        found += further_conflicts(more, settings, touched)
    faults += [
        origins.fault(conflict.paths[0], conflict.message, conflict.cure)
        for conflict in found
        if not _concerns(conflict, touched)
    ]
    if faults:
        raise ConfigError(sorted(faults, key=lambda fault: (fault.line is None, fault.line or 0)))
    return settings


def placed(
    conflicts: Iterable[Conflict], path: FilePath | None = None, environ: Mapping[str, str] | None = None
) -> list[Fault]:
    """Return what was found wrong, or only doubtful, with the settings that `load(path, environ)` made, each with its key and line.

    Raises ConfigError when the file can no longer be read. Waits for it.
    """
    _, origins = _tree(find(path), dict(os.environ if environ is None else environ))
    return [origins.fault(conflict.paths[0], conflict.message, conflict.cure) for conflict in conflicts]


def _tree(file: FilePath | None, environ: Mapping[str, str]) -> tuple[dict[str, Any], Origins]:
    """Return what the file and the environment say together, and where each value of it stands. Raises ConfigError."""
    text = "" if file is None else _read(file)
    from_file = {} if file is None else _parsed(text, str(file))
    from_environment = environment.read(environ)
    origins = Origins(None if file is None else str(file), lines_of(text), from_environment, environ)
    return _merged(from_file, from_environment), origins


def _read(file: FilePath) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        fault = Fault("", None, f"cannot be read: {error.strerror}", "name a TOML file with --config", str(file))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        fault = Fault("", line, "is no UTF-8 text", "save the file as UTF-8", str(file))
    raise ConfigError([fault])


def _parsed(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _AT_LINE.search(str(error))
        at_end = text.rstrip().count("\n") + 1
        line = int(place[1]) if place is not None and place[1] else at_end
        message = f"no valid TOML: {_AT_LINE.sub('', str(error))}"
        cure = "text stands in quotes, a key only once, and every bracket is closed"
        raise ConfigError([Fault("", line, message, cure, source)]) from None
    except RecursionError:
        raise ConfigError([Fault("", None, "no valid TOML: nested too deeply", "nest less", source)]) from None


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both trees in one; where both have a value, `above` wins."""
    merged = dict(below)
    for key, value in above.items():
        mine = merged.get(key)
        merged[key] = _merged(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return merged


def _references(value: Any) -> Iterator[str]:
    """Yield the names of the variables that hold secrets."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
    elif isinstance(value, str) and value.startswith("env:"):
        yield value.removeprefix("env:")


def _validated(
    tree: dict[str, Any], context: dict[str, Any], origins: Origins
) -> tuple[Settings, Sequence[Path], list[Fault]]:
    """Return the settings, the paths where they do not hold what was given, and what is wrong with each key.

    With faults, values that are wrong are at a default.
    """
    try:
        return Settings.model_validate(tree, context=context), (), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        tree, touched = repaired(tree, found)
        return Settings.model_validate(tree, context=context), touched, list(explain(found, origins))


def _concerns(conflict: Conflict, touched: Sequence[Path]) -> bool:
    """Say whether a conflict is about values that were not given as they stand."""
    return any(
        path[: len(other)] == other[: len(path)]  # one is within the other
        for path in conflict.paths
        for other in touched
    )
