"""ProfitMetrics' stand-in as one part: what the sandbox's process mounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from sandbox.errors import errors_as_json
from sandbox.profitmetrics.access import Access
from sandbox.profitmetrics.catalogue import Catalogue
from sandbox.profitmetrics.control import Control
from sandbox.profitmetrics.door import Door
from sandbox.profitmetrics.export import export, export_csv
from sandbox.profitmetrics.refusals import envelope_of
from sandbox.profitmetrics.reports import reports
from sandbox.profitmetrics.switches import Switchboard
from sandbox.profitmetrics.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from structlog.typing import FilteringBoundLogger

    from runtime.clock import Clock
    from sandbox.faults.effects import Stage
    from sandbox.faults.injector import Injector
    from sandbox.profitmetrics.door import Call

PREFIX: Final = "/profitmetrics"
ROOT: Final = "/api/key-auth/dashboard-metrics"
DEMO_KEY: Final = "pm_demo"


@dataclass(frozen=True, slots=True)
class ProfitMetrics:
    """The stand-in: the vendor's application, to be mounted under PREFIX, and the routes of the fault port."""

    app: web.Application
    control_routes: Sequence[web.RouteDef]


def profitmetrics(
    keys: Mapping[str, Collection[int] | None],
    injector: Injector,
    stage: Stage,
    clock: Clock,
    log: FilteringBoundLogger,
) -> ProfitMetrics:
    """Return the stand-in. `keys`: each with the sites that it may read, None for all. It keeps nothing on disk."""
    switchboard, traffic = Switchboard(), Traffic(clock)
    door = Door(Access(keys), switchboard, traffic, injector, stage, clock)
    app = web.Application(middlewares=[errors_as_json(log, lambda status, _text: envelope_of(status))])
    app.add_routes(
        [
            web.post(f"{ROOT}/export/v2", door.handler(export)),
            web.post(f"{ROOT}/export/csv", door.handler(export_csv)),
            web.get(f"{ROOT}/export/metrics", door.handler(_metrics), allow_head=False),
            web.post(f"{ROOT}/data/reports", door.handler(reports)),
        ]
    )
    return ProfitMetrics(app, Control(switchboard, traffic).routes())


async def _metrics(call: Call) -> web.Response:
    """Answer `export/metrics`: the live catalogue."""
    listed = Catalogue(call.switches).listed()
    content = {"success": True, "data": listed} if call.switches.metrics_envelope else listed
    return web.Response(body=msgspec.json.encode(content), content_type="application/json")
