"""Waiting for what must not be left half done."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_P = ParamSpec("_P")


async def uninterrupted(task: asyncio.Future[_T]) -> _T:
    """Return what the task returns. Whoever is cancelled meanwhile waits for its end first; what it then raises is lost."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):  # it is raised below, however often it comes
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise


async def in_thread(function: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
    """Call the function in a thread. Whoever is cancelled meanwhile goes on when it has returned: what it works on is for one at a time."""
    loop = asyncio.get_running_loop()
    return await uninterrupted(loop.run_in_executor(None, partial(function, *arguments, **options)))
