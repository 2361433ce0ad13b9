from __future__ import annotations

from io import StringIO

from rich.console import Console

from cli.screen import notice
from runtime.clock import ManualClock


def test_a_role_that_quotes_a_vendor_does_nothing_to_the_terminal() -> None:
    out = StringIO()
    console = Console(file=out, width=40, highlight=False, markup=False)

    notice(console, ManualClock(), "scheduler", "refused answer=\x1b[2J\r\nall [bold]is well[/bold]")

    (line,) = out.getvalue().splitlines()
    assert line.endswith("scheduler refused answer=·[2J··all [bold]is well[/bold]")
