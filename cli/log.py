"""The configured log, opened by a command that only looks or asks."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from broker.factory import open_broker
from runtime.clock import SystemClock
from runtime.logs import Logs
from runtime.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from broker.interface import Broker
    from runtime.settings import Settings

_STDERR = 2


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Broker]:
    """Give the started broker. What it logs below an error stays unseen: a command says itself what is wrong.

    Raises Unavailable when it cannot be reached.
    """
    logs = Logs("cli", _STDERR, level="error", console=True)
    logs.route_standard_library()
    try:
        async with open_broker(settings.broker, Metrics(), logs.log, SystemClock()) as broker:
            yield broker
    finally:
        logs.close()
