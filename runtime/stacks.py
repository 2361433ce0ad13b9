"""Where code is, in a few words: for log lines that stand in for a traceback."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import leaves

if TYPE_CHECKING:
    import asyncio


def awaited_by(task: asyncio.Task[Any]) -> str:
    """Return what `task` waits in, outermost first: `main > Server.close > Publisher.close`."""
    names: list[str] = []
    waiting: Any = task.get_coro()
    while (name := getattr(waiting, "__qualname__", None)) is not None:
        names.append(name)
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "ag_await", None)
    return " > ".join(names)


def raised_at(error: BaseException) -> str | None:
    """Return where `error` (a group: its first leaf) was raised, as `package/module.py:12`; None when it never was."""
    frames = traceback.extract_tb(leaves(error)[0].__traceback__)
    return f"{'/'.join(Path(frames[-1].filename).parts[-2:])}:{frames[-1].lineno}" if frames else None
