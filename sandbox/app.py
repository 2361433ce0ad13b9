"""The main port: every vendor's stand-in in one application. Tolinku stands at the root, the others get a prefix
each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.errors import errors_as_json
from sandbox.profitmetrics.stand_in import PREFIX as PROFITMETRICS
from sandbox.tolinku.cors import cors

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from sandbox.profitmetrics.stand_in import ProfitMetrics
    from sandbox.tolinku.stand_in import Tolinku

MAX_BODY_BYTES = 2 * 1024 * 1024
"""What the vendor takes is unknown; a batch of the forwarder has at most half of it."""


def vendor_app(tolinku: Tolinku, profitmetrics: ProfitMetrics, log: FilteringBoundLogger) -> web.Application:
    """Return the application of the main port, with every vendor's stand-in where it belongs."""
    app = web.Application(middlewares=[cors, errors_as_json(log)], client_max_size=MAX_BODY_BYTES)
    app.add_routes(tolinku.routes)
    app.add_subapp(PROFITMETRICS, profitmetrics.app)
    return app
