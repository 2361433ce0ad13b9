"""A scheduler at work in the test's own event loop: the vendor's stand-in on real sockets, the log on a real disk."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import orjson
import structlog
from pydantic import SecretStr
from structlog.testing import LogCapture

from broker.factory import open_broker
from runtime.clock import SystemClock
from runtime.health import Health
from runtime.metrics import Metrics
from runtime.process import Process
from runtime.settings import AccountSettings, BrokerSettings, ExportSettings, SandboxSettings, Settings
from sandbox.service import serving
from scheduler.portfolio import topics
from scheduler.service import main
from schemas.commands import ExportCommand, command_key
from schemas.ledger import ExportState
from schemas.topics import COMMANDS, LEDGER, metrics_topic, partition_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from broker.interface import Broker
    from runtime.clock import Clock

PATIENCE = 20.0
REPORTS = metrics_topic("profitmetrics", "reports")


def a_process(role: str, clock: Clock | None = None, logged: LogCapture | None = None) -> Process:
    """Return a process that is not one: everything but signals. Without a `clock` it has the system's; `logged` takes what it logs."""
    return Process(
        role,
        log=structlog.wrap_logger(
            None, processors=[logged or LogCapture()], wrapper_class=structlog.make_filtering_bound_logger(0)
        ),
        metrics=Metrics(),
        health=Health(),
        clock=clock or SystemClock(),
        drain_seconds=2,
    )


def reports(name: str = "daily", **more: Any) -> ExportSettings:
    """Return an export of daily reports, pulled at once and then when it is told to."""
    query = {"sites": [10000394], "currency": "EUR", "resolution": "DAY", "metrics": ["TURNOVER", "NUMBER_OF_ORDERS"]}
    given = {
        "name": name,
        "account": "shop-profit",
        "dataset": "reports",
        "every": "1d",
        "timezone": "Europe/Copenhagen",
        "lookback": "3d",
        "query": {**query, **more.pop("query", {})},
        **more,
    }
    return ExportSettings.model_validate(given)


class World:
    """The vendor that runs, and the log. `settings` are the scheduler's, with the exports of the test, `clock` is its clock."""

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        faults: str,
        session: aiohttp.ClientSession,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self.broker = broker
        self._clock = clock
        self._faults = faults
        self._session = session
        self._nonce = 0

    async def vendor(self, **switches: Any) -> None:
        """Set the vendor's knobs, all others back to their defaults."""
        async with self._session.put(f"{self._faults}/profitmetrics/switches", json=switches) as answer:
            assert answer.status == 200, await answer.text()

    async def faults(self, *rules: Mapping[str, Any]) -> None:
        """Break the vendor."""
        async with self._session.put(f"{self._faults}/faults", json={"rules": list(rules)}) as answer:
            assert answer.status == 200, await answer.text()

    async def requests(self) -> Any:
        """Return what the vendor was asked."""
        async with self._session.get(f"{self._faults}/profitmetrics/requests") as answer:
            return await answer.json()

    async def records(self, topic: str = REPORTS) -> list[tuple[Any, Any]]:
        """Return every record of a topic, decoded: key and row, None for a tombstone."""
        return [
            (orjson.loads(record.key or b"null"), None if record.value is None else orjson.loads(record.value))
            async for record in self.broker.read(topic)
        ]

    async def state(self, export: str = "daily") -> ExportState | None:
        """Return where an export stands in the ledger."""
        found = None
        async for record in self.broker.read(LEDGER):
            if record.key == export.encode() and record.value is not None:
                found = msgspec.json.decode(record.value, type=ExportState)
        return found

    async def until(self, holds: Callable[[ExportState], object], export: str = "daily") -> ExportState:
        """Wait until something holds of an export's state, and return that."""
        deadline = time.monotonic() + PATIENCE
        while (state := await self.state(export)) is None or not holds(state):
            assert time.monotonic() < deadline, f"still {state}"
            await asyncio.sleep(0.05)
        return state

    async def pulled_anew(self, export: str = "daily") -> ExportState:
        """Have it pulled once more from now on, and wait for that."""
        self._nonce += 1
        nonce = str(self._nonce)
        before = await self.until(lambda state: state.succeeded, export)
        await self.command(export, ExportCommand(run=nonce))
        return await self.until(lambda state: state.run == nonce and state.attempted > before.attempted, export)

    async def command(self, export: str, command: ExportCommand) -> None:
        """Say what is wanted of an export, as the command line does."""
        publisher = await self.broker.publisher()
        key = command_key(export)
        partition = partition_of(key, await self.broker.partitions(COMMANDS))
        await publisher.publish(COMMANDS, partition, [(key, msgspec.json.encode(command), ())])
        await publisher.close()

    @asynccontextmanager
    async def scheduling(self, logged: LogCapture | None = None) -> AsyncIterator[Process]:
        """Run a scheduler; on leaving it is asked to stop, and must. `logged` takes what it logs."""
        process = a_process("scheduler", self._clock, logged)
        task = asyncio.create_task(main(self.settings, process))
        try:
            yield process
        finally:
            process.stopping.set()
            async with asyncio.timeout(PATIENCE):
                await task


@asynccontextmanager
async def a_world(directory: Path, *exports: ExportSettings, **account: Any) -> AsyncIterator[World]:
    """Open a world with these exports, all of the account `shop-profit`."""
    broker_settings = BrokerSettings(path=str(directory / "log"), partitions=2)
    sandbox = Settings(sandbox=SandboxSettings(port=0, fault_port=0, path=str(directory / "sandbox")))
    async with serving(sandbox, a_process("sandbox")) as ports, aiohttp.ClientSession() as session:
        shop = AccountSettings(
            name="shop-profit",
            source="profitmetrics",
            url=f"http://127.0.0.1:{ports.main}/profitmetrics",
            api_key=SecretStr("pm_demo"),
            requests_per_minute=6000,
            **account,
        )
        settings = Settings(broker=broker_settings, accounts=[shop], exports=list(exports))
        process = a_process("reader")
        broker = open_broker(broker_settings, process.metrics, process.log, process.clock)
        async with broker:
            await broker.ensure_topics(topics(settings))
            yield World(settings, broker, f"http://127.0.0.1:{ports.faults}", session)
