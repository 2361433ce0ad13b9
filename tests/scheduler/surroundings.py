"""An estate of the scheduler without its process: the test says when it owns what, and what it hears."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import SecretStr

from broker.factory import open_broker
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from runtime.settings import AccountSettings, BrokerSettings, Settings
from scheduler.backoffs import Backoffs
from scheduler.estate import Estate, Surroundings
from scheduler.portfolio import plans, topics
from scheduler.wishes import Wishes
from schemas.topics import LEDGER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp

    from broker.interface import Broker
    from runtime.clock import Clock
    from runtime.settings import ExportSettings
    from scheduler.lease import Lease
    from scheduler.report import Report

OWNER = "sluice-scheduler-0"
"""The transactional id of the only partition."""


def settings(directory: Path, url: str, *exports: ExportSettings, **budget: Any) -> Settings:
    """Return the settings of one account, `shop-profit`, in a ledger of one partition. Without a `budget` none binds."""
    account = AccountSettings(
        name="shop-profit",
        source="profitmetrics",
        url=url,
        api_key=SecretStr("pm_demo"),
        **{"requests_per_minute": 6000, **budget},
    )
    log = BrokerSettings(path=str(directory / "log"), partitions=1)
    return Settings(broker=log, accounts=[account], exports=list(exports))


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Broker]:
    """Open the log, with all topics."""
    async with open_broker(settings.broker, Metrics(), structlog.get_logger(), SystemClock()) as broker:
        await broker.ensure_topics(topics(settings))
        yield broker


@asynccontextmanager
async def working(
    settings: Settings,
    broker: Broker,
    session: aiohttp.ClientSession,
    lease: Lease,
    report: Report,
    directory: Path,
    clock: Clock | None = None,
) -> AsyncIterator[Estate]:
    """Have an estate work on the ledger's only partition, all of whose exports are configured; on leaving it is cancelled.

    Without a `clock` it has the system's.
    """
    around = Surroundings(
        broker=broker,
        partitions={topic.name: 1 for topic in topics(settings)},
        session=session,
        wishes=Wishes(broker, SystemClock(), structlog.get_logger()),
        lease=lease,
        backoffs=Backoffs(Random(0)),  # noqa: S311  # it spreads retries
        report=report,
        directory=directory,
        clock=clock or SystemClock(),
        log=structlog.get_logger(),
    )
    assert around.partitions[LEDGER] == 1
    estate = Estate(0, plans(settings), around)
    task = asyncio.create_task(estate.run())
    try:
        yield estate
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled(), task.exception()
