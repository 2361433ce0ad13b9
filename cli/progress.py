"""A progress bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console


@contextmanager
def bar(console: Console, title: str, total: int | None) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on `console` while the block runs, if that is a terminal.

    Gives `shown(done, events)`: how much of `total` is done (in any unit; None: nobody knows how much there is), and the
    number of events to show beside the bar.
    """
    progress = Progress(
        TextColumn(f"{title:10}"),
        BarColumn(),
        TextColumn("{task.fields[events]:>11,} events"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with progress:
        task = progress.add_task("", total=total, events=0)

        def shown(done: int, events: int) -> None:
            progress.update(task, completed=done, events=events)

        yield shown
