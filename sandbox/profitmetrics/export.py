"""`export/v2`: one flat series from some days ago, or from the first order, up to now; keyed by labels. `export/csv`: the
same as CSV, for one site.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

import orjson

from sandbox.profitmetrics.bodies import ExportBody, Rules
from sandbox.profitmetrics.calendar import Period
from sandbox.profitmetrics.catalogue import Catalogue
from sandbox.profitmetrics.channels import Allowance
from sandbox.profitmetrics.figures import Figure
from sandbox.profitmetrics.history import beginning
from sandbox.profitmetrics.refusals import Refused
from sandbox.profitmetrics.sheet import Question, Sheet
from sandbox.profitmetrics.streaming import streamed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiohttp import web

    from sandbox.profitmetrics.calendar import Bucket, Calendar, Resolution
    from sandbox.profitmetrics.door import Call
    from sandbox.profitmetrics.switches import Site

FORBIDDEN_STATUS: Final = {"CUSTOMER_SITE_NOT_FOUND": 400, "NO_ACCESS_TO_SITES": 403}


async def export(call: Call) -> web.Response:
    """Answer `export/v2`. Waits only for what it sends. Raises Refused."""
    catalogue = Catalogue(call.switches)
    sheet = _sheet(call, _body(call, catalogue), catalogue)
    return streamed(_json(sheet, catalogue), "application/json", call.switches.cut_bytes)


async def export_csv(call: Call) -> web.Response:
    """Answer `export/csv`, which is deprecated; nobody knows what it takes or answers. Raises Refused."""
    catalogue = Catalogue(call.switches)
    body = _body(call, catalogue)
    if len(body.csids) > 1:
        raise Rules(call.switches, catalogue).broken("export/csv takes a single site")
    answer = streamed(
        _csv(_sheet(call, body, catalogue), catalogue), "text/csv; charset=utf-8", call.switches.cut_bytes
    )
    answer.headers["Deprecation"] = "true"
    answer.headers["Link"] = '<v2>; rel="successor-version"'
    return answer


def _body(call: Call, catalogue: Catalogue) -> ExportBody:
    rules = Rules(call.switches, catalogue)
    body = rules.read(call.body, ExportBody)
    rules.export(body)
    return body


def _sheet(call: Call, body: ExportBody, catalogue: Catalogue) -> Sheet | None:
    """Return the series that a body asks for; None when none of its sites has any orders."""
    rules = Rules(call.switches, catalogue)
    calendar = rules.calendar(body.timezone)
    if body.currency is not None:
        rules.currency(body.currency)
    missing = [csid for csid in body.csids if csid not in call.sites]
    if missing:
        code = call.switches.forbidden_site_code
        raise Refused(FORBIDDEN_STATUS[code], code, f"site {missing[0]} is unknown, or not for this key")
    sites = {csid: call.sites[csid] for csid in body.csids}
    period = _period(sites, body.lookback_window, calendar, call.now)
    if period is None:
        return None
    names = body.metrics or list(catalogue.metrics)
    question = Question(
        sites=sites,
        currency=body.currency or call.sites[body.csids[0]].currency,
        calendar=calendar,
        resolution=body.resolution,
        period=period,
        compare=None,
        metrics=[name for name in dict.fromkeys(names) if catalogue.metrics[name].kind == "number"],
        allowance=Allowance(),
    )
    return Sheet(question, catalogue, call.switches, call.now)


def _period(sites: Mapping[int, Site], days: int | None, calendar: Calendar, now: int) -> Period | None:
    first = beginning(sites.values())
    if first is None or first >= now:
        return None
    return Period(calendar.midnight(now, days) if days else first, now)


def _json(sheet: Sheet | None, catalogue: Catalogue) -> Iterator[bytes]:
    yield b'{"success":true,"data":{"data":['
    comma = b""
    for timestamp, values in _rows(sheet):
        metrics = {catalogue.label(name): value for name, value in values.items()}
        yield comma + orjson.dumps({"timestamp": timestamp, "metrics": metrics})
        comma = b","
    yield b"]}}"


def _csv(sheet: Sheet | None, catalogue: Catalogue) -> Iterator[bytes]:
    names = [] if sheet is None else sheet.question.metrics
    yield _line(["timestamp", *map(catalogue.label, names)])
    for timestamp, values in _rows(sheet):
        yield _line([timestamp, *(values.get(name) for name in names)])


def _line(cells: list[str | float | None]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _rows(sheet: Sheet | None) -> Iterator[tuple[str, dict[str, str | float | None]]]:
    if sheet is None:
        return
    for row in sheet.rows():
        values: dict[str, str | float | None] = {}
        for name in row.metrics:
            figure = sheet.figure(name, row.sums)
            values[name] = figure.number() if isinstance(figure, Figure) else figure
        yield _timestamp(row.bucket, sheet.question.resolution), values


def _timestamp(bucket: Bucket, resolution: Resolution) -> str:
    return bucket.local.isoformat(timespec="minutes") if resolution == "HOUR" else bucket.local.date().isoformat()
