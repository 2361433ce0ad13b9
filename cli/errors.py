"""What a user sees of an error: clear lines on stderr and an exit code, never a traceback."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

import click

from runtime.errors import exit_code, leaves, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator


def report(error: Exception) -> int:
    """Print what `error` means to stderr and return the exit code: 2 for a faulty configuration, else 1.

    With `SLUICE_DEBUG=1` in the environment the traceback comes first.
    """
    if os.environ.get("SLUICE_DEBUG") == "1":
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    for line in _lines(error):
        click.echo(line, err=True)
    return exit_code(error)


def _lines(error: Exception) -> Iterator[str]:
    from cli.printable import printable  # noqa: PLC0415  # only a command that failed needs it
    from runtime.config import ConfigError  # noqa: PLC0415  # as above

    found = leaves(error)
    faulty = [leaf for leaf in found if isinstance(leaf, ConfigError)]
    for leaf in faulty:
        yield from (printable(str(fault)) for fault in leaf.faults)
    if not faulty:
        yield printable(f"sluice: {one_line(error)}")
