"""From what validation says of a tree of settings to faults that an operator can put right."""

from __future__ import annotations

import copy
import difflib
import typing
from typing import TYPE_CHECKING, Any, Final

from runtime import environment
from runtime.faults import Fault, dotted
from runtime.settings import Section, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pydantic_core import ErrorDetails

    from runtime.toml_lines import Path

_CLOSE: Final = 0.6

_PLAIN: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("is missing", "add it"),
    "string_type": ("is no text", "put it in quotes"),
    "string_too_short": ("is empty", "give it a value"),
    "int_type": ("is no whole number", "give one, without quotes"),
    "int_parsing": ("is no whole number", "give one, without quotes"),
    "int_from_float": ("is no whole number", "leave the fraction out"),
    "float_type": ("is no number", "give one, without quotes"),
    "float_parsing": ("is no number", "give one, without quotes"),
    "bool_type": ("is neither true nor false", "give one of them, without quotes"),
    "bool_parsing": ("is neither true nor false", "give one of them, without quotes"),
    "list_type": ("is no list", "put it in brackets"),
    "dict_type": ("is no table", "give it keys of its own"),
    "model_type": ("is no table", "give it keys of its own"),
}
_NAME_CURE: Final = 'use 1 to 63 of a-z, 0-9 and "-"'
_NO_NAME: Final[Mapping[str, tuple[str, str]]] = {
    "storefront": ("is no storefront's name", _NAME_CURE),
    "account": ("is no account's name", _NAME_CURE),
    "export": ("is no export's name", _NAME_CURE),
    "dataset": ("is no dataset's name", 'use letters, digits, "_", "-" and, for a vendor\'s "/", "."'),
}
_NESTED: Final = ("list_type", "dict_type", "model_type")
_BOUNDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "greater_than": ("gt", "is too small", "give more than"),
    "greater_than_equal": ("ge", "is too small", "give at least"),
    "less_than_equal": ("le", "is too large", "give at most"),
}

_OF_TABLE: Final = 2  # the length of the path of a table in a list: ("exports", 0)

# What stands in for a required value that is missing or wrong, so that the rest can still be checked against each
# other.
_URL: Final = "http://stand-in.invalid"
_STAND_INS: Final[Mapping[str, Mapping[str, Any]]] = {
    "storefronts": {"name": "stand-in", "ingestion": {"url": _URL, "api_key": "stand-in"}},
    "accounts": {"name": "stand-in", "source": "tolinku", "url": _URL},
    "exports": {"name": "stand-in", "account": "stand-in", "dataset": "stand-in"},
}


class Origins:
    """Knows where each value of the merged tree came from: a line of `file` (None: there is none) or a variable of
    `environ`.

    `lines` are the file's (`runtime.toml_lines`), `from_environment` the tree that the variables made.
    """

    def __init__(
        self, file: str | None, lines: Mapping[Path, int], from_environment: Mapping[str, Any], environ: Iterable[str]
    ) -> None:
        self._file = file
        self._lines = lines
        self._from_environment = from_environment
        self._variables = {name.upper(): name for name in environ}

    def fault(self, path: Path, message: str, cure: str) -> Fault:
        """Return a fault of the value at `path`, placed where that was given or, when it was not, at the table it belongs to."""
        name = self.variable_of(path)
        if name is not None:
            return Fault(dotted(path), None, message, cure, name)
        if self._file is None:
            return Fault(dotted(path), None, message, cure, "development defaults")
        return Fault(dotted(path), self._line(path), message, cure, self._file)

    def variable_of(self, path: Path) -> str | None:
        """Return the environment variable that gave the value at `path`, as it is spelt there; None when none did."""
        if not _holds(self._from_environment, path):
            return None
        names = (environment.variable(path[:length]) for length in range(len(path), 0, -1))
        return next((self._variables[name] for name in names if name in self._variables), None)

    def _line(self, path: Path) -> int | None:
        ancestors = (path[:length] for length in range(len(path), 0, -1))
        return next((self._lines[ancestor] for ancestor in ancestors if ancestor in self._lines), None)


def explain(errors: Sequence[ErrorDetails], origins: Origins) -> Iterator[Fault]:
    """Yield one fault for each error; a missing key that was only misspelt is told once, as misspelt."""
    misspelt = {near for error in errors if (near := _meant(error)) is not None}
    for error in errors:
        path = error["loc"]
        if error["type"] == "missing" and path in misspelt:
            continue
        message, cure = _unknown_key(path, origins) if error["type"] == "extra_forbidden" else _words(error)
        if error["type"] in _NESTED and origins.variable_of(path) is not None:
            cure = "write it as JSON"
        yield origins.fault(path, message, cure)


def repaired(tree: Mapping[str, Any], errors: Sequence[ErrorDetails]) -> tuple[dict[str, Any], list[Path]]:
    """Return a copy of `tree` without its errors, and the paths that no longer hold what was given.

    Unknown keys are gone, wrong values are at their default, required ones have a stand-in.
    """
    repaired_tree = copy.deepcopy(dict(tree))
    touched: list[Path] = []
    for error in errors:
        path = error["loc"]
        touched.append(path)
        meant = _meant(error)
        if meant is not None:
            touched.append(meant)
        _repair(repaired_tree, path, error["type"])
    return repaired_tree, touched


def _repair(tree: dict[str, Any], path: Path, kind: str) -> None:
    holder: Any = tree
    for part in path[:-1]:
        holder = holder[part]
    last = path[-1]
    if isinstance(last, int):
        holder[last] = _stand_in_item(path)
    elif kind != "extra_forbidden" and last in (required := _required(path)):
        holder[last] = f"stand-in-{path[1]}" if last == "name" else copy.deepcopy(required[last])
    else:
        holder.pop(last, None)


def _required(path: Path) -> Mapping[str, Any]:
    """Return the stand-ins of the table that holds the value at `path`: `("exports", 0, "name")`."""
    table: Any = _STAND_INS.get(str(path[0]), {})
    for part in path[2:-1]:
        table = table.get(part, {})
    return table if isinstance(table, dict) else {}


def _stand_in_item(path: Path) -> Any:
    """Return an item that is right in its list and equal to no other."""
    unique = "-".join(map(str, path)).replace("_", "-")
    if len(path) == _OF_TABLE and path[0] in _STAND_INS:
        return {**copy.deepcopy(dict(_STAND_INS[str(path[0])])), "name": unique}
    return f"https://{unique}.invalid" if path[-2] == "origins" else unique


def _words(error: ErrorDetails) -> tuple[str, str]:
    """Return what is wrong and its cure."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "fault":
        return context["message"], context["cure"]
    if kind == "literal_error":
        return "has a value that is not known", f"use {context['expected']}"
    if kind in _BOUNDS:
        bound, message, cure = _BOUNDS[kind]
        return message, f"{cure} {context[bound]}"
    if kind == "string_pattern_mismatch":
        return _NO_NAME[_named_by(error["loc"])]
    return _PLAIN.get(kind, (error["msg"], ""))


def _named_by(path: Path) -> str:
    """Return what the value at `path` is the name of."""
    return str(path[0]).removesuffix("s") if path[-1] == "name" else str(path[-1])


def _unknown_key(path: Path, origins: Origins) -> tuple[str, str]:
    near = _nearest(path)
    if near is not None:
        if origins.variable_of(path) is not None:
            return "unknown key", f"did you mean {environment.variable(near)}?"
        meant = near[-1] if near[:-1] == path[:-1] else dotted(near)
        return "unknown key", f'did you mean "{meant}"?'
    section = _section_at(path[:-1])
    keys = ", ".join(section.model_fields) if section is not None else ""
    return "unknown key", f"known are {keys}"


def _meant(error: ErrorDetails) -> Path | None:
    """Return the path that an unknown key was meant to be, as far as one can tell."""
    return _nearest(error["loc"]) if error["type"] == "extra_forbidden" else None


def _nearest(path: Path) -> Path | None:
    """Return the known key nearest to an unknown one: in its own table, else the same word in another one."""
    section, key = _section_at(path[:-1]), str(path[-1])
    if section is None:
        return None
    near = difflib.get_close_matches(key.lower(), section.model_fields, n=1, cutoff=_CLOSE)
    if near:
        return (*path[:-1], near[0])
    for name, field in Settings.model_fields.items():
        other = _section_of(field.annotation)
        if other is not None and key in other.model_fields:
            return (name, key)
    return None


def _section_at(path: Path) -> type[Section] | None:
    """Return the type of the table at `path`; None when none of ours is there."""
    section: type[Section] | None = Settings
    for part in path:
        if isinstance(part, int):
            continue
        field = None if section is None else section.model_fields.get(part)
        section = None if field is None else _section_of(field.annotation)
    return section


def _section_of(annotation: Any) -> type[Section] | None:
    """Return the table that an annotation stands for, alone or in a list."""
    inner = typing.get_args(annotation)[0] if typing.get_origin(annotation) is list else annotation
    return inner if isinstance(inner, type) and issubclass(inner, Section) else None


def _holds(tree: Any, path: Path) -> bool:
    for part in path:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
