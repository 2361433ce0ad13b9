"""Waiting for what traffic brings about."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.traffic import Traffic

DEADLINE = 60.0


async def until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE) -> None:
    """Wait until `condition` holds. Raises AssertionError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.05)


def sent(traffic: Traffic, more_than: float) -> bool:
    """Say whether more events were made."""
    return traffic.sent > more_than


def accepted(traffic: Traffic, more_than: int) -> bool:
    """Say whether more events were accepted."""
    return traffic.acknowledged > more_than


def refused(traffic: Traffic, more_than: int) -> bool:
    """Say whether more requests were answered with 503, of whatever code."""
    return traffic.answers("503") > more_than
