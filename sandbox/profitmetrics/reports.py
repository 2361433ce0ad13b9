"""`data/reports`: any number of series in one call, keyed by enum names, with comparisons, per-channel ad spend and
timestamps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from sandbox.profitmetrics.bodies import ReportsBody, Rules
from sandbox.profitmetrics.catalogue import Catalogue
from sandbox.profitmetrics.channels import Allowance
from sandbox.profitmetrics.refusals import Refused
from sandbox.profitmetrics.sheet import Question, Sheet
from sandbox.profitmetrics.streaming import streamed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiohttp import web

    from sandbox.profitmetrics.bodies import ReportBody
    from sandbox.profitmetrics.door import Call


async def reports(call: Call) -> web.Response:
    """Answer `data/reports`. Waits only for what it sends. Raises Refused; one report that is refused refuses all."""
    catalogue = Catalogue(call.switches)
    rules = Rules(call.switches, catalogue)
    body = rules.read(call.body, ReportsBody)
    wanted = rules.reports(body)
    missing = bool(body.calculate_with_not_configured_marketing_channels)
    questions = [(report.id, _question(call, report, rules, missing=missing)) for report in wanted]
    _check_access(call, wanted)
    _check_settings([question for _, question in questions])
    sheets = [(report, Sheet(question, catalogue, call.switches, call.now)) for report, question in questions]
    return streamed(_json(sheets), "application/json", call.switches.cut_bytes)


def _question(call: Call, report: ReportBody, rules: Rules, *, missing: bool) -> Question:
    calendar = rules.calendar(report.timezone)
    return Question(
        sites={number: call.sites[number] for number in report.sites if number in call.sites},
        currency=rules.currency(report.currency),
        calendar=calendar,
        resolution=report.resolution,
        period=rules.period(report.period, calendar),
        compare=None if report.compare_period is None else rules.period(report.compare_period, calendar),
        metrics=list(dict.fromkeys(report.metrics)),
        allowance=Allowance(missing=missing, partial=bool(report.allow_partial_marketing_channels)),
    )


def _check_access(call: Call, wanted: Sequence[ReportBody]) -> None:
    for report in wanted:
        for number in report.sites:
            if number not in call.sites:
                raise Refused(403, "NO_ACCESS_TO_SITES", f"site {number} is unknown, or not for this key")


def _check_settings(questions: Sequence[Question]) -> None:
    details: dict[str, list[int]] = {}
    for question in questions:
        for number, site in question.sites.items():
            for name in question.metrics:
                if name in site.missing_settings and number not in details.setdefault(name, []):
                    details[name].append(number)
    if details:
        code = "MISSING_SETTING_FOR_SELECTED_METRIC"
        raise Refused(400, code, f"settings are missing for {', '.join(details)}", details)


def _json(sheets: Sequence[tuple[str, Sheet]]) -> Iterator[bytes]:
    yield b'{"success":true,"data":{"reports":['
    for index, (report, sheet) in enumerate(sheets):
        yield b'%s{"id":%s,"metrics":[' % (b"," if index else b"", orjson.dumps(report))
        comma = b""
        for row in sheet.rows():
            bucket = {
                "timestamp": row.bucket.local.isoformat(),
                "compareTimestamp": None if row.other is None else row.other.local.isoformat(),
                "data": {name: {"value": sheet.value(name, row)} for name in row.metrics},
            }
            yield comma + orjson.dumps(bucket)
            comma = b","
        yield b"]}"
    yield b'],"chartReports":[]}}'
