"""A step as questions: what is split, and whose vendor job is taken up again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from runtime.settings import AccountSettings, ExportSettings
from scheduler.export_work import ExportWork, Step
from scheduler.plan import Plan, Shape, Window
from scheduler.question import Question, split
from scheduler.schedule import Schedule
from schemas.ledger import ExportState, VendorJob

NOW = datetime(2026, 11, 20, tzinfo=UTC)
WINDOW = Window(NOW - timedelta(days=2), NOW - timedelta(days=1))


def a_work() -> ExportWork:
    account = AccountSettings(name="a", source="profitmetrics", url="http://127.0.0.1", api_key=SecretStr("k"))
    export = ExportSettings.model_validate(
        {
            "name": "e",
            "account": "a",
            "dataset": "reports",
            "every": "1h",
            "compare": "7d",
            "split": ["sites"],
            "query": {"sites": [1, 2], "currency": "EUR"},
        }
    )
    plan = Plan(export, account, Shape("DAY", export.timezone))
    return ExportWork(plan, Schedule.of(export), None, None, NOW.timestamp())


def test_a_list_is_asked_value_by_value() -> None:
    query = {"sites": [1, 2], "currencies": ["EUR", "DKK"], "top": 1}
    found = list(split(query, ["sites", "currencies"]))
    assert len(found) == 4
    assert found[1] == ({"sites": [1], "currencies": ["DKK"], "top": 1}, {"sites": 1, "currencies": "DKK"})
    assert list(split(query, [])) == [(query, {})]


async def test_a_job_is_taken_up_by_the_ask_that_started_it() -> None:
    work, kept = a_work(), list[VendorJob]()

    async def keep(_: ExportWork, job: VendorJob) -> None:
        kept.append(job)

    first = Question(work, Step(WINDOW, regular=True, id="1"), NOW.timestamp(), keep)
    assert [ask.job for ask in first.asks] == [None, None]
    await first.asks[1].keep_job({"task": "t1"})
    first.close()
    work.state = replace(work.state, job=kept[0])
    again = Question(work, Step(WINDOW, regular=True, id="2"), NOW.timestamp(), keep)
    assert [ask.job for ask in again.asks] == [None, {"task": "t1"}]
    again.close()
    other = Window(WINDOW.start - timedelta(days=1), WINDOW.start)
    elsewhere = Question(work, Step(other, regular=True, id="3"), NOW.timestamp(), keep)
    assert [ask.job for ask in elsewhere.asks] == [None, None]
    elsewhere.close()


async def test_each_ask_knows_what_it_is_compared_with_and_what_the_split_says() -> None:
    question = Question(a_work(), Step(WINDOW, regular=True, id="1"), NOW.timestamp(), _nobody)
    assert [ask.dimensions for ask in question.asks] == [{"sites": 1}, {"sites": 2}]
    compare = question.asks[0].compare
    assert compare is not None
    assert compare.start == WINDOW.start - timedelta(days=7)
    question.close()


@pytest.mark.parametrize("changed", [{"query": "another"}, {"access": "another"}])
def test_a_changed_configuration_lifts_a_stop_and_a_changed_query_voids_coverage(changed: dict[str, str]) -> None:
    stopped = replace(a_work().state, status="stopped", reason="refused", covered=[("a", "b")])
    found = _adopted(replace(stopped, **changed))
    assert (found.status, found.reason) == ("active", "")
    assert found.covered == ([] if "query" in changed else [("a", "b")])
    assert _adopted(stopped) == stopped


def _adopted(state: ExportState) -> ExportState:
    work = a_work()
    return ExportWork(work.plan, Schedule.of(work.plan.export), None, state, NOW.timestamp()).state


async def _nobody(_: ExportWork, __: VendorJob) -> None:
    raise AssertionError("nothing is kept here")
