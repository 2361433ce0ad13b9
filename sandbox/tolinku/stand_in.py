"""Tolinku's stand-in as one part: what the sandbox's process opens, mounts and closes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.tolinku.arrivals import Arrivals
from sandbox.tolinku.control import Control
from sandbox.tolinku.door import Door
from sandbox.tolinku.erasure import Erasure
from sandbox.tolinku.fraud import Inspector
from sandbox.tolinku.ingestion import Ingestion
from sandbox.tolinku.queries.reports import REPORTS, Reports
from sandbox.tolinku.switches import Switchboard
from sandbox.tolinku.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from runtime.clock import Clock
    from sandbox.database import Database
    from sandbox.faults.effects import Stage
    from sandbox.faults.injector import Injector
    from sandbox.tolinku.appspaces import Appspaces

ANALYTICS = "/v1/api/analytics"
ROOT = f"{ANALYTICS}/ecommerce"


@dataclass(frozen=True, slots=True)
class Tolinku:
    """The running stand-in: the vendor's routes, those of the fault port, and the writer that readiness asks."""

    routes: Sequence[web.RouteDef]
    control_routes: Sequence[web.RouteDef]
    writer: Writer


@asynccontextmanager
async def tolinku(
    database: Database, appspaces: Appspaces, injector: Injector, stage: Stage, clock: Clock
) -> AsyncIterator[Tolinku]:
    """Open the stand-in; on leaving, what was taken is committed. Leave only when no request is under way."""
    arrivals = await asyncio.to_thread(Arrivals, database)
    switchboard = Switchboard()
    writer = Writer(arrivals, clock)
    await writer.start()
    try:
        door = Door(appspaces, switchboard, injector, stage, clock)
        ingestion, reports = Ingestion(writer, Inspector(clock)), Reports(arrivals, clock)
        routes = [
            web.post(f"{ROOT}/track", door.sending(ingestion.track)),
            web.post(f"{ROOT}/batch", door.sending(ingestion.batch)),
            *(
                web.get(f"{ROOT}/{name}", door.reading(reports.answering(report)), allow_head=False)
                for name, report in REPORTS.items()
            ),
            web.delete(f"{ANALYTICS}/user/{{user_id}}", door.reading(Erasure(writer).user)),
        ]
        yield Tolinku(routes, Control(arrivals, switchboard, appspaces).routes(), writer)
    finally:
        await writer.close()
