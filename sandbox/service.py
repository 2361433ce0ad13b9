"""The sandbox as a process: what it is built from, how it starts, how it drains."""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web

from runtime.errors import listen_failed
from sandbox.app import vendor_app
from sandbox.control import control_app
from sandbox.database import Database
from sandbox.faults.effects import Stage
from sandbox.faults.injector import Injector
from sandbox.profitmetrics.stand_in import DEMO_KEY, profitmetrics
from sandbox.tolinku.appspaces import Appspaces
from sandbox.tolinku.stand_in import tolinku

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.process import Process
    from runtime.settings import Settings

FAULT_HOST = "127.0.0.1"
ANSWER_SHARE = 0.2
"""Of the drain's time, what each listener's requests have to finish; aiohttp takes it twice, the second time for what
it cancelled.
"""


class Ports(NamedTuple):
    """Where the sandbox listens."""

    main: int
    faults: int


async def main(settings: Settings, process: Process) -> None:
    """Serve until the process is asked to stop, then answer what is under way, commit and close the database.

    A configuration that is read anew is served by another run of this: what is stored stays, faults that were set are forgotten.
    Raises OperatorError when a port cannot be had or the data is in use.
    """
    async with serving(settings, process) as ports:
        process.started(
            url=f"http://{settings.sandbox.host}:{ports.main}",
            faults=f"http://{FAULT_HOST}:{ports.faults}",
            storefronts=len(settings.storefronts),
        )
        await process.stopping.wait()


@asynccontextmanager
async def serving(settings: Settings, process: Process) -> AsyncIterator[Ports]:
    """Serve, and yield the ports. On leaving, requests under way are answered first, the database is closed last.
    Raises as `main`.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_database(Path(settings.sandbox.path)))
        seconds = process.drain_seconds * ANSWER_SHARE
        injector, stage = Injector(), Stage(process.clock)
        appspaces = Appspaces.of(settings.storefronts)
        vendor = await stack.enter_async_context(tolinku(database, appspaces, injector, stage, process.clock))
        process.health.add("store", vendor.writer.fault)
        profit = profitmetrics(profitmetrics_keys(settings), injector, stage, process.clock, process.log)
        app = vendor_app(vendor, profit, process.log)
        control = control_app(injector, [*vendor.control_routes, *profit.control_routes], process.log)
        faults = await stack.enter_async_context(
            _listening(control, "the sandbox's fault port", FAULT_HOST, settings.sandbox.fault_port, seconds)
        )
        port = await stack.enter_async_context(
            _listening(app, "the sandbox", settings.sandbox.host, settings.sandbox.port, seconds)
        )
        stack.callback(stage.close)
        yield Ports(port, faults)


def profitmetrics_keys(settings: Settings) -> dict[str, None]:
    """Return the keys that the configured accounts ask with; like the one of development, they may read every site."""
    configured = [account.api_key for account in settings.accounts if account.source == "profitmetrics"]
    return dict.fromkeys([DEMO_KEY, *(key.get_secret_value() for key in configured if key is not None)])


@asynccontextmanager
async def _database(directory: Path) -> AsyncIterator[Database]:
    database = await asyncio.to_thread(Database, directory)
    try:
        yield database
    finally:
        await asyncio.to_thread(database.close)
        # What the process froze at its start looks leaked to DuckDB's binding when the interpreter ends, and it complains on stderr.
        gc.unfreeze()


@asynccontextmanager
async def _listening(app: web.Application, what: str, host: str, port: int, seconds: float) -> AsyncIterator[int]:
    """Serve `app` and yield its port. On leaving, requests under way have `seconds` to be answered."""
    # Cancelling the handler of a sender that went away ends what would wait for nobody (a fault's hang); events it
    # brought are stored all the same.
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,
        auto_decompress=False,
        shutdown_timeout=seconds,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise listen_failed(what, host, port, error) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
