"""A scheduler that pulls from an appspace of the stand-in, whose events arrived on the days that a test says."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from broker.factory import open_broker
from runtime.clock import ManualClock, SystemClock
from runtime.settings import AccountSettings, BrokerSettings, ExportSettings, Settings
from scheduler.portfolio import topics
from schemas.topics import metrics_topic
from tests.sandbox.running import SECRET, running
from tests.scheduler.sources.tolinku.world import NOW
from tests.scheduler.world import PATIENCE, World, a_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from broker.interface import Broker
    from schemas.ledger import ExportState
    from tests.sandbox.running import Running

TODAY = NOW.date()


class ShiftedClock(SystemClock):
    """A clock that goes on as the real one does, from some other instant: no test meets midnight."""

    def __init__(self, start: datetime) -> None:
        self._ahead = start.timestamp() - time.time()

    def now(self) -> float:
        return super().now() + self._ahead


def export(dataset: str, name: str = "daily", **more: Any) -> ExportSettings:
    """Return an export that is pulled at once, and then when it is told to."""
    given = {"name": name, "account": "acme-tolinku", "dataset": dataset, "every": "1d", "lookback": "2d", **more}
    return ExportSettings.model_validate(given)


class Appspace(World):
    """The world around one appspace."""

    def __init__(self, settings: Settings, broker: Broker, sandbox: Running, clock: ManualClock) -> None:
        super().__init__(settings, broker, sandbox.control_url, sandbox.session, ShiftedClock(NOW))
        self.sandbox = sandbox
        self._day = clock

    async def arrive(self, day: date, *events: dict[str, Any]) -> None:
        """Have events arrive at noon of a day, whichever arrived before."""
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()
        await self._day.advance(noon - self._day.now())
        answer = await self.sandbox.batch(*events)
        assert answer.body == {"ok": True, "accepted": len(events)}
        await self._day.advance(NOW.timestamp() - noon)

    async def settled(self, *exports: str) -> None:
        """Wait until each export was pulled to its last day."""
        for name in exports or ("daily",):
            await self.until(lambda state: state.due, name)

    async def pulled_anew(self, export: str = "daily") -> ExportState:
        """Have it pulled once more, and wait for that: each day of what has no time axis is a pull of its own."""
        before = await self.until(lambda state: state.due, export)
        await super().pulled_anew(export)
        return await self.until(lambda state: state.due > before.due, export)

    async def forget(self, user: str) -> None:
        """Have a user's events deleted, and wait until they are."""
        url = f"{self.sandbox.url}/v1/api/analytics/user/{user}"
        assert (await self.sandbox.request("DELETE", url, headers={"X-API-Key": SECRET})).status == 200
        deadline = time.monotonic() + PATIENCE
        while any(event["user_id"] == user for event in await self.sandbox.arrivals("fields=user_id")):
            assert time.monotonic() < deadline, "it is still there"
            await asyncio.sleep(0.005)

    async def rows(self, dataset: str) -> list[tuple[Any, Any]]:
        """Return every record of a dataset's topic: key and row, None for a tombstone."""
        return await self.records(metrics_topic("tolinku", dataset))


@asynccontextmanager
async def an_appspace(directory: Path, *exports: ExportSettings, **account: Any) -> AsyncIterator[Appspace]:
    """Open an appspace at noon of `TODAY`, of which these exports are pulled."""
    clock, process = ManualClock(NOW.timestamp()), a_process("reader")
    async with running(directory / "sandbox", clock) as sandbox:
        acme = AccountSettings(
            name="acme-tolinku",
            source="tolinku",
            url=sandbox.url,
            api_key=SecretStr(SECRET),
            requests_per_minute=6000,
            **account,
        )
        settings = Settings(
            broker=BrokerSettings(path=str(directory / "log"), partitions=2), accounts=[acme], exports=list(exports)
        )
        async with open_broker(settings.broker, process.metrics, process.log, process.clock) as broker:
            await broker.ensure_topics(topics(settings))
            yield Appspace(settings, broker, sandbox, clock)
