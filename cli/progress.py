"""A progress bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console


@contextmanager
def bar(console: Console, title: str, total: int | None, unit: str = "events") -> Iterator[Callable[[int, int], None]]:
    """Show a bar on `console` while the block runs, if that is a terminal.

    Gives `shown(done, count)`: how much of `total` is done (None: nobody knows how much there is), and the number to show
    beside the bar, of what `unit` says.
    """
    progress = Progress(
        TextColumn(f"{title:10}"),
        BarColumn(),
        TextColumn("{task.fields[count]:>11,} {task.fields[unit]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with progress:
        task = progress.add_task("", total=total, count=0, unit=unit)

        def shown(done: int, count: int) -> None:
            progress.update(task, completed=done, count=count)

        yield shown
