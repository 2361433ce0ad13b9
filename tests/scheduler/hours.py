"""Hours of a scheduler in a moment: its clock moves on whenever it waits for it, and the vendor goes by the same clock."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import orjson
import structlog
from pydantic import SecretStr

from runtime.clock import SystemClock
from runtime.metrics import Metrics
from runtime.settings import SandboxSettings, Settings
from sandbox.service import serving
from scheduler.lease import Lease
from scheduler.report import Report
from schemas.ledger import AccountState, ExportState, account_key
from schemas.topics import LEDGER
from tests.scheduler.surroundings import opened, settings, working
from tests.scheduler.world import REPORTS, a_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path
    from types import SimpleNamespace

    from broker.interface import Broker
    from runtime.settings import ExportSettings
    from scheduler.estate import Estate

PATIENCE = 20.0
MINUTE, HOUR = 60.0, 3600.0
START = 1_795_003_200.0
"""A Wednesday noon, UTC, far from every change of clocks."""


class HastyClock:
    """Moves on as soon as somebody waits for it, but not past `limit`. For one who waits at a time."""

    def __init__(self) -> None:
        self.limit = self._now = START
        self._arrived = asyncio.Event()
        self._further = asyncio.Event()

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        due = self._now + max(seconds, 0.0)
        while due > self.limit:
            self._now = self.limit
            self._further.clear()
            self._arrived.set()
            await self._further.wait()
        self._now = max(self._now, due)
        await asyncio.sleep(0)

    async def go_on(self, seconds: float) -> None:
        """Let so much time pass: until whoever waits for the clock has nothing more to do within it."""
        self.limit += seconds
        self._arrived.clear()
        self._further.set()
        async with asyncio.timeout(PATIENCE):
            await self._arrived.wait()


class Hours:
    """An account's vendor, and its estate whenever there is one. `asked`: when each request was sent, by the clock."""

    def __init__(
        self, configured: Settings, clock: HastyClock, broker: Broker, session: aiohttp.ClientSession, faults: str
    ) -> None:
        self.clock = clock
        self.asked: list[float] = []
        self._configured = configured
        self._broker = broker
        self._session = session
        self._faults = faults
        self._metrics = Metrics()

    @asynccontextmanager
    async def owner(self, directory: Path) -> AsyncIterator[Estate]:
        """Have the account owned; on leaving it is nobody's, and the next owner knows only what stands in the ledger."""
        lease, log = Lease(SystemClock()), structlog.get_logger()
        lease.use(lambda: math.inf)
        report = Report(self._metrics, self.clock, log)
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._note)
        async with (
            aiohttp.ClientSession(trace_configs=[trace], cookie_jar=aiohttp.DummyCookieJar()) as session,
            working(self._configured, self._broker, session, lease, report, directory, self.clock) as estate,
        ):
            yield estate

    async def faults(self, *rules: Mapping[str, Any]) -> None:
        """Break the vendor, and nothing else of it; without rules it is whole."""
        async with self._session.put(f"{self._faults}/faults", json={"rules": list(rules)}) as answer:
            assert answer.status == 200, await answer.text()

    async def vendor(self, **switches: Any) -> None:
        """Set the vendor's knobs, all others back to their defaults."""
        async with self._session.put(f"{self._faults}/profitmetrics/switches", json=switches) as answer:
            assert answer.status == 200, await answer.text()

    async def export(self, name: str = "daily") -> ExportState:
        """Return where an export stands in the ledger."""
        return msgspec.json.decode(await self._latest(name.encode()), type=ExportState)

    async def account(self) -> AccountState:
        """Return where the account stands in the ledger."""
        return msgspec.json.decode(await self._latest(account_key("shop-profit")), type=AccountState)

    async def rows(self) -> list[dict[str, Any]]:
        """Return every row that was published; a tombstone is none, and none is expected."""
        return [orjson.loads(record.value or b"") async for record in self._broker.read(REPORTS)]

    async def _latest(self, key: bytes) -> bytes:
        found = [record.value async for record in self._broker.read(LEDGER) if record.key == key]
        assert found, key
        return found[-1] or b""

    async def _note(self, _: aiohttp.ClientSession, __: SimpleNamespace, ___: aiohttp.TraceRequestStartParams) -> None:
        self.asked.append(self.clock.now())


@asynccontextmanager
async def hours(directory: Path, *exports: ExportSettings, **budget: Any) -> AsyncIterator[Hours]:
    """Open a vendor and a log, at noon of a day in November 2026."""
    clock = HastyClock()
    sandbox = Settings(sandbox=SandboxSettings(port=0, fault_port=0, path=str(directory / "sandbox")))
    async with serving(sandbox, a_process("sandbox", clock)) as ports, aiohttp.ClientSession() as session:
        configured = settings(directory, f"http://127.0.0.1:{ports.main}/profitmetrics", *exports, **budget)
        assert configured.accounts[0].api_key == SecretStr("pm_demo")
        async with opened(configured) as broker:
            yield Hours(configured, clock, broker, session, f"http://127.0.0.1:{ports.faults}")
