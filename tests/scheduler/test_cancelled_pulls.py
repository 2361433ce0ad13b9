"""A pull that is cancelled while it is being published: it goes to its end, and nobody goes on from the state before it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from msgspec.structs import replace

from runtime.clock import SystemClock
from runtime.metrics import Metrics
from scheduler.lease import Lease
from scheduler.ledger import Ledger
from scheduler.report import Report
from schemas.commands import ExportCommand
from schemas.ledger import ExportState
from schemas.topics import LEDGER
from tests.scheduler.surroundings import opened, settings, working
from tests.scheduler.world import a_world, reports

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp
    import pytest


async def test_what_was_published_is_covered_although_the_pull_was_cancelled(
    tmp_path: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, publishing = Ledger.publish, asyncio.Event()

    async def noted(ledger: Ledger, *arguments: Any) -> Any:
        publishing.set()
        return await publish(ledger, *arguments)

    monkeypatch.setattr(Ledger, "publish", noted)
    lease = Lease(SystemClock())
    lease.use(lambda: float("inf"))
    report = Report(Metrics(), SystemClock(), structlog.get_logger())
    async with a_world(tmp_path / "vendor") as vendor:
        configured = settings(tmp_path, vendor.settings.accounts[0].url, reports())
        async with (
            opened(configured) as broker,
            working(configured, broker, session, lease, report, tmp_path) as estate,
        ):
            await publishing.wait()
            await estate.heard("daily", ExportCommand(cancel="enough"))
            written = [record async for record in broker.read(LEDGER) if record.key == b"daily"]
    published, cancelled = (msgspec.json.decode(record.value or b"", type=ExportState) for record in written)
    assert published.covered
    assert published.rows >= 3
    assert cancelled == replace(published, cancel="enough")
