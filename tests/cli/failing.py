"""A command that fails as no command should."""

from __future__ import annotations

import click


@click.command
def command() -> None:
    raise ZeroDivisionError("it\nbroke")
