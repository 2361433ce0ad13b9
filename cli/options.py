"""The options that commands share: `--config FILE` and `--json`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration. Default: sluice.toml if present, else built-in development defaults.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")


def with_settings(function: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
    """Add `--config` to a command and hand it the loaded settings as its first argument.

    A faulty configuration raises ConfigError, which `cli.errors` shows fault by fault before it exits 2.
    """

    @config_option
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        # Read here, not at import: `sluice --help` needs no pydantic.
        from runtime.config import load  # noqa: PLC0415

        path = kwargs.pop("config_path")
        assert path is None or isinstance(path, Path)  # noqa: S101  # click's own type, told to mypy
        return function(load(path), *args, **kwargs)

    return wrapper


def with_exports(function: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
    """Do as `with_settings`, and check accounts and exports with their vendors' eyes: for commands that pull.

    Others go without, so that a misspelt metric cannot stop the intake of events.
    """

    @config_option
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        from runtime.config import load  # noqa: PLC0415  # as above
        from scheduler.portfolio import conflicts  # noqa: PLC0415  # as above

        path = kwargs.pop("config_path")
        assert path is None or isinstance(path, Path)  # noqa: S101  # click's own type, told to mypy
        return function(load(path, more=conflicts), *args, **kwargs)

    return wrapper
