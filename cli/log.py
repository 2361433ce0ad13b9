"""The configured log, opened by a command that only looks or asks."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from broker.factory import open_broker
from runtime.clock import SystemClock
from runtime.logs import Logs
from runtime.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Broker
    from runtime.settings import Settings

_STDERR = 2


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Broker]:
    """Give the started broker. What it logs below an error stays unseen: a command says itself what is wrong.

    Raises Unavailable when it cannot be reached.
    """
    with errors_only() as logger:
        async with open_broker(settings.broker, Metrics(), logger, SystemClock()) as broker:
            yield broker


@contextmanager
def errors_only() -> Iterator[FilteringBoundLogger]:
    """Give the logger of a command that says itself what is wrong: on stderr, from errors on."""
    logs = Logs("cli", _STDERR, level="error", console=True)
    logs.route_standard_library()
    try:
        yield logs.log
    finally:
        logs.close()
