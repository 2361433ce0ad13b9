"""Where commands print for people."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console

from cli.printable import printable

if TYPE_CHECKING:
    from runtime.clock import Clock

PLAIN_WIDTH = 160


def console() -> Console:
    """Return the standard output: as wide as the terminal, or wide enough for a table in a file."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, markup=False)


def notice(console: Console, clock: Clock, role: str, text: str) -> None:
    """Print what a role has to say, with the local time. A vendor's own words may be in it."""
    at = time.strftime("%H:%M:%S", time.localtime(clock.now()))
    console.print(f"{at} {role:10}{printable(text)}", soft_wrap=True)
