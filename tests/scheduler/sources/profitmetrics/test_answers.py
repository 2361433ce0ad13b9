"""Answers of `data/reports` that the stand-in does not give: shuffled, incomplete, of other shapes."""

from __future__ import annotations

import threading
from typing import Any

import orjson
import pytest

from runtime.spans import Compare
from scheduler.errors import ExportRefused, PullError, Retryable
from scheduler.sources.profitmetrics.reports import ReportRows, read
from tests.scheduler.sources.profitmetrics.world import Rows, World, ask, export, reply


def number(value: Any, *compared: Any) -> dict[str, Any]:
    parts = dict(zip(("compareValue", "valueDiff", "percentageDiff"), compared or (None, None, None), strict=True))
    return {"value": {"value": value, **parts}}


def bucket(_day: str = "2026-06-15", /, **data: Any) -> dict[str, Any]:
    return {"timestamp": f"{_day}T00:00:00", "compareTimestamp": None, "data": data}


def report(name: str, *buckets: Any) -> dict[str, Any]:
    return {"id": name, "metrics": list(buckets)}


def answer(*reports: Any, **more: Any) -> dict[str, Any]:
    return {"success": True, "data": {"reports": list(reports), "chartReports": []}, **more}


class Reading:
    """Two asks, `pull-0` and `pull-1`, and what an answer gives them."""

    def __init__(self, **more: Any) -> None:
        self.sinks = [Rows(), Rows()]
        asks = [ask(export(["TURNOVER"], **more), number=number) for number in range(2)]
        self.rows = {one.id: ReportRows(one, sink, "monday") for one, sink in zip(asks, self.sinks, strict=True)}

    async def read(self, content: Any) -> Reading:
        read(await reply(content), self.rows, threading.Event())
        return self

    @property
    def first(self) -> Any:
        (found,) = self.sinks[0].found
        return found

    @property
    def errors(self) -> list[PullError | None]:
        return [rows.error for rows in self.rows.values()]


ONE, TWO = report("pull-0", bucket(TURNOVER=number(1))), report("pull-1", bucket(TURNOVER=number(2)))


def last(name: str, content: dict[str, Any]) -> bytes:
    """Return the JSON of an object with one of its keys at the end."""
    return orjson.dumps({**{key: value for key, value in content.items() if key != name}, name: content[name]})


@pytest.mark.parametrize("content", [
    answer(ONE, TWO),
    answer(TWO, ONE),
    last("success", answer(TWO, ONE)),
    orjson.dumps(answer()).replace(b'"reports":[]', b'"reports":[%s,%s]' % (last("id", TWO), last("id", ONE))),
    orjson.dumps(answer()).replace(b'"reports":[]', b'"reports":[%s,%s]' % (orjson.dumps(TWO), last("id", ONE))),
])  # fmt: skip
async def test_reports_are_matched_by_id_whatever_their_order(content: Any) -> None:
    reading = await Reading().read(content)
    assert [sink.values("TURNOVER") for sink in reading.sinks] == [[1], [2]]
    assert all(rows.is_answered for rows in reading.rows.values())


async def test_a_report_that_is_missing_is_not_answered() -> None:
    reading = await Reading().read(answer(TWO))
    assert [rows.is_answered for rows in reading.rows.values()] == [False, True]
    for without in ({"id": "pull-0"}, {"id": "pull-0", "metrics": None}, {"id": "pull-0", "metrics": {}}):
        reading = await Reading().read(answer(without, TWO))
        assert [rows.is_answered for rows in reading.rows.values()] == [False, True]


@pytest.mark.parametrize("content", [
    answer(ONE, TWO, report("pull-2")),
    answer(ONE, ONE, TWO),
    answer(report("", bucket())),
    answer({"metrics": [bucket()]}, TWO),
    answer({"id": 7, "metrics": []}),
    answer(ONE, TWO, success=None),
    answer(ONE, TWO, success="true"),
    {"data": {"reports": [ONE, TWO]}},
    {"success": True, "data": {"reports": None}},
    {"success": True, "data": {"reports": {}}},
    {"success": True, "data": {}},
    {"success": True},
    {"success": False, "errorCode": "UNKNOWN", "data": {"reports": []}},
    [],
    orjson.dumps(answer(ONE, TWO))[:-1],
])  # fmt: skip
async def test_what_is_no_answer_as_a_whole(content: Any) -> None:
    with pytest.raises(Retryable):
        await Reading().read(content)


async def test_a_refusal_behind_its_rows_is_a_refusal() -> None:
    refused = {"success": False, "errorCode": "NO_ACCESS_TO_SITES"}
    with pytest.raises(ExportRefused):
        await Reading().read(answer(ONE, **refused))


@pytest.mark.parametrize("faulty", [
    None,
    [],
    {"timestamp": "2026-06-15T00:00:00"},
    {"timestamp": "2026-06-15T00:00:00", "data": []},
    {"timestamp": "soon", "data": {}},
    {"timestamp": 1, "data": {}},
    {"data": {}},
    bucket(TURNOVER=1),
    bucket(TURNOVER=None),
    bucket(TURNOVER={}),
    bucket(TURNOVER={"value": True}),
    bucket(TURNOVER={"value": "soon"}),
    bucket(TURNOVER={"value": [1]}),
    bucket(TURNOVER={"value": {"value": {"value": 1}}}),
    bucket(TURNOVER={"value": {"value": "1"}}),
    bucket(ADSPEND_BY_CHANNEL={"value": {"Google": {"compareValue": 1}}}),
    bucket(ADSPEND_BY_CHANNEL={"value": {"Google": [1]}}),
    bucket(GOOGLE_ADSPEND_TIMESTAMP={"value": "soon"}),
    bucket(GOOGLE_ADSPEND_TIMESTAMP={"value": 7}),
])  # fmt: skip
async def test_a_wrong_shape_is_its_own_reports(faulty: Any) -> None:
    reading = await Reading().read(answer(report("pull-0", faulty, bucket("2026-06-16", TURNOVER=number(1))), TWO))
    assert isinstance(reading.errors[0], Retryable)
    assert reading.errors[1] is None
    assert reading.sinks[1].values("TURNOVER") == [2]


@pytest.mark.parametrize("days", [("2026-06-15", "2026-06-15"), ("2026-06-16", "2026-06-15")])
async def test_buckets_out_of_order_are_no_answer(days: tuple[str, str]) -> None:
    reading = await Reading().read(answer(report("pull-0", *map(bucket, days)), TWO))
    assert isinstance(reading.errors[0], Retryable)


async def test_what_was_not_asked_for_is_left_out() -> None:
    days = [bucket(day, TURNOVER=number(1)) for day in ("2026-06-14", "2026-06-15", "2026-06-17", "2026-06-18")]
    reading = await Reading().read(answer(report("pull-0", *days), TWO))
    assert [text[:10] for text in reading.sinks[0].starts] == ["2026-06-15", "2026-06-17"]


async def test_several_buckets_of_total_are_no_answer() -> None:
    reading = await Reading(resolution="TOTAL").read(answer(report("pull-0", bucket(), bucket("2026-06-16")), TWO))
    assert isinstance(reading.errors[0], Retryable)


async def test_null_absent_0_and_not_available_are_kept_apart() -> None:
    data: dict[str, Any] = {
        "A": number(None),
        "B": number(0),
        "C": {"value": "N/A"},
        "D": number(0.0),
        "E": {"value": None},
    }
    found = (await Reading().read(answer(report("pull-0", bucket(**data)), TWO))).first
    assert found.metrics == {"A": None, "B": 0, "D": 0.0, "E": None}
    assert (type(found.metrics["B"]), type(found.metrics["D"])) == (int, float)
    assert found.unavailable == ["C"]


async def test_the_parts_of_a_comparison() -> None:
    data: dict[str, Any] = {
        "A": number(1, 2, -1, None),
        "B": number(1, None, None, None),
        "C": number("N/A", 1, "N/A", "N/A"),
    }
    compared = {**bucket(**data), "compareTimestamp": "2026-06-08T00:00:00"}
    found = (await Reading(compare=Compare(days=7)).read(answer(report("pull-0", compared), TWO))).first
    assert found.metrics == {
        "A": 1, "A.compareValue": 2, "A.valueDiff": -1, "A.percentageDiff": None,
        "B": 1, "B.compareValue": None, "B.valueDiff": None, "B.percentageDiff": None,
        "C.compareValue": 1,
    }  # fmt: skip
    assert found.unavailable == ["C", "C.valueDiff", "C.percentageDiff"]
    assert found.compare.start.isoformat() == "2026-06-08T00:00:00+02:00"
    assert found.compare.end.isoformat() == "2026-06-09T00:00:00+02:00"


async def test_without_a_comparison_only_what_the_vendor_fills_in_is_there() -> None:
    found = (await Reading().read(answer(report("pull-0", bucket(A=number(1), B=number(1, 2, None, 0))), TWO))).first
    assert found.metrics == {"A": 1, "B": 1, "B.compareValue": 2, "B.percentageDiff": 0}
    assert found.compare is None


async def test_a_comparison_that_lacks_its_bucket() -> None:
    found = (await Reading(compare=Compare(days=7)).read(answer(report("pull-0", bucket(A=number(1))), TWO))).first
    assert found.compare is None


async def test_channels() -> None:
    spend = {"Google": number(980.0)["value"], "Meta": "N/A", "Own / house": {"value": None}}
    reading = await Reading().read(answer(report("pull-0", bucket(ADSPEND_BY_CHANNEL={"value": spend})), TWO))
    rows = {found.dimensions["channel"]: (found.metrics, found.unavailable) for found in reading.sinks[0].found}
    assert rows == {
        "Google": ({"ADSPEND_BY_CHANNEL": 980.0}, []),
        "Meta": ({}, ["ADSPEND_BY_CHANNEL"]),
        "Own / house": ({"ADSPEND_BY_CHANNEL": None}, []),
    }


async def test_no_channels_at_all() -> None:
    values: list[Any] = [{}, "N/A", None]
    for value in values:
        data: dict[str, Any] = {"ADSPEND_BY_CHANNEL": {"value": value}, "TURNOVER": number(1)}
        found = (await Reading().read(answer(report("pull-0", bucket(**data)), TWO))).first
        assert found.dimensions == {}
        assert found.unavailable == (["ADSPEND_BY_CHANNEL"] if value == "N/A" else [])
        assert ("ADSPEND_BY_CHANNEL" in found.metrics) is (value is None)


@pytest.mark.parametrize(
    ("bucket_start", "written", "with_offset"),
    [
        ("2026-10-25T01:00:00", "2026-10-25T01:30:00", "2026-10-25T01:30:00+02:00"),
        ("2026-10-25T02:00:00", "2026-10-25T02:30:00", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:00:00", "2026-10-25T02:30:00.250", "2026-10-25T02:30:00.250+02:00"),
    ],
)
async def test_a_time_gets_its_zones_offset(bucket_start: str, written: str, with_offset: str) -> None:
    sink = Rows()
    hourly = ask(export(["GOOGLE_ADSPEND_TIMESTAMP"], resolution="HOUR"), "2026-10-25", "2026-10-26")
    element = {"timestamp": bucket_start, "data": {"GOOGLE_ADSPEND_TIMESTAMP": {"value": written}}}
    rows = {hourly.id: ReportRows(hourly, sink, "monday")}
    read(await reply(answer(report(hourly.id, element))), rows, threading.Event())
    (found,) = sink.found
    assert found.attributes == {"GOOGLE_ADSPEND_TIMESTAMP": with_offset}


async def test_a_time_in_the_second_of_two_hours() -> None:
    sink = Rows()
    hourly = ask(export(["GOOGLE_ADSPEND_TIMESTAMP"], resolution="HOUR"), "2026-10-25", "2026-10-26")
    element = {"timestamp": "2026-10-25T02:00:00", "data": {"GOOGLE_ADSPEND_TIMESTAMP": {"value": "2026-10-25T02:30"}}}
    rows = {hourly.id: ReportRows(hourly, sink, "monday")}
    read(await reply(answer(report(hourly.id, element, element))), rows, threading.Event())
    assert [found.attributes["GOOGLE_ADSPEND_TIMESTAMP"] for found in sink.found] == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
    ]


async def test_a_time_that_there_is_none_of() -> None:
    data: dict[str, Any] = {"GOOGLE_ADSPEND_TIMESTAMP": {"value": None}, "TURNOVER": number(1)}
    found = (await Reading().read(answer(report("pull-0", bucket(**data)), TWO))).first
    assert found.attributes == {"GOOGLE_ADSPEND_TIMESTAMP": None}
    gone: dict[str, Any] = {"GOOGLE_ADSPEND_TIMESTAMP": {"value": "N/A"}}
    found = (await Reading().read(answer(report("pull-0", bucket(**gone)), TWO))).first
    assert (found.attributes, found.unavailable) == ({}, ["GOOGLE_ADSPEND_TIMESTAMP"])


async def test_one_report_missing_or_wrong_fails_no_other(profit: World) -> None:
    await profit.one(export(["TURNOVER"]))
    body = answer(report("pull-0", bucket(TURNOVER=1)), report("pull-1", bucket(TURNOVER=number(1))))
    await profit.vendor.fault({"effect": "status", "status": 200, "path": "*/data/reports", "body": body})
    end = "2026-06-16"
    wrong, good, missing = await profit.pull(
        *(ask(export(["TURNOVER"]), "2026-06-15", end, number=number) for number in range(3))
    )
    assert isinstance(wrong.error, Retryable)
    assert good.rows.values("TURNOVER") == [1]
    assert isinstance(missing.error, Retryable)
    assert "missing" in str(missing.error)
    told = [(entry["event"], entry["status"], entry["reason"]) for entry in profit.logged.entries]
    assert told == [("answer not understood", 200, str(each.error)) for each in (wrong, missing)]
