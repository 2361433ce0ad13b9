"""Waiting for a condition, never for a time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 30.0
"""Seconds after which what should have happened is not going to. Long: only a failing test waits for it."""


async def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until `condition` holds; `what` says in the failure what was waited for."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE:g} s: {what}"
        await asyncio.sleep(0.01)
