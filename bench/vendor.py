"""Two vendors that answer at once and know nothing: what the scheduler is measured against. `python -m bench.vendor PORT`.

Answers have the shapes of seeds 000 and 003, as many rows as were asked for, and are as they were but for the present day, whose numbers
change with every minute. `GET /seen` tells which export was asked for when, by this machine's clock, and forgets it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import uvloop
from aiohttp import web

from bench.portfolio import profitmetrics_name, tolinku_name
from schemas.profitmetrics import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REPORTS = "data/reports"
CATALOGUE = "export/metrics"
BARE = "/bare"
DAY = timedelta(days=1)


class Vendor:
    """Answers everything; remembers who asked when."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, str]] = []
        self._catalogue = orjson.dumps([{"label": label, "value": name} for label, name in NAMES.items()])

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        began = time.time()
        path = request.path
        if path == "/seen":
            seen, self._seen = self._seen, []
            return _json(orjson.dumps(seen))
        if path == BARE:
            self._seen.append((began, request.query["name"]))
            return _json(orjson.dumps(_reports([])))
        if path.endswith(CATALOGUE):
            return _json(self._catalogue)
        if path.endswith(REPORTS):
            reports = orjson.loads(await request.read())["reports"]
            self._seen += [(began, profitmetrics_name(report["sites"][0])) for report in reports]
            return _json(orjson.dumps(_reports(reports)))
        _, account, *_, dataset = path.split("/")
        self._seen.append((began, tolinku_name(account, dataset, int(request.query.get("limit", 0)))))
        return _json(orjson.dumps(_analytics(dataset, request.query)))


def _reports(reports: list[dict[str, Any]]) -> dict[str, Any]:
    return {"success": True, "data": {"reports": [_report(report) for report in reports]}}


def _report(report: dict[str, Any]) -> dict[str, Any]:
    days = _days(report["period"]["fromIncl"][:10], report["period"]["toExcl"][:10])
    metrics = [
        {"timestamp": day.isoformat(), "data": {name: {"value": _number(day, name)} for name in report["metrics"]}}
        for day in days[:-1]
    ]
    return {"id": report["id"], "metrics": metrics}


def _analytics(dataset: str, query: Mapping[str, str]) -> dict[str, Any]:
    days = _days(query["start"], query["end"])
    last = days[-1]
    sales: Callable[[str], dict[str, Any]] = lambda name: {"revenue": _number(last, name), "orders": 7}  # noqa: E731  # two of a kind
    found: dict[str, Any] = {"days": len(days)}
    if dataset == "revenue-timeseries":
        found["series"] = [{"date": day.isoformat(), "revenue": _number(day, "r"), "orders": 7} for day in days]
    elif dataset == "top-products":
        found["products"] = [{"item_id": f"p{n}", "item_name": "A", **sales("p"), "quantity": 3} for n in range(10)]
    elif dataset == "revenue-by-country":
        found["countries"] = [{"country": name, **sales(name)} for name in ("DK", "SE", "NO", "DE", "US")]
    elif dataset == "funnel":
        found["steps"] = [{"name": name, "count": 9, "percentage": 50.0} for name in ("view", "cart", "purchase")]
    else:
        found |= {"total_revenue": _number(last, "total"), "total_orders": 7, "avg_order_value": 12.5}
    return found


def _days(first: str, last: str) -> list[date]:
    start = date.fromisoformat(first)
    return [start + n * DAY for n in range((date.fromisoformat(last) - start).days + 1)]


def _number(day: date, name: str) -> float:
    now = datetime.now(UTC)
    moves = now.minute if day >= now.date() else 0
    return 100.25 + day.toordinal() % 97 + len(name) + moves


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


async def serve(port: int) -> None:
    """Serve until killed."""
    runner = web.ServerRunner(web.Server(Vendor().handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
