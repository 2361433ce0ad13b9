from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from runtime.settings import AccountSettings
from scheduler.digests import access_digest, query_digest
from scheduler.plan import Plan, Shape
from tests.scheduler.world import reports

ACCOUNT: dict[str, Any] = {
    "name": "shop-profit",
    "source": "profitmetrics",
    "url": "https://api.my.profitmetrics.io",
    "api_key": SecretStr("key-1"),
}


def plan(export: dict[str, Any] | None = None, **account: Any) -> Plan:
    settings = reports(**(export or {}))
    return Plan(settings, AccountSettings.model_validate({**ACCOUNT, **account}), Shape("DAY", settings.timezone))


@pytest.mark.parametrize(
    ("export", "account"),
    [
        ({"query": {"currency": "SEK"}}, {}),
        ({"timezone": "Europe/Berlin"}, {}),
        ({"compare": "1mo"}, {}),
        ({"split": ["sites"]}, {}),
        # What was covered under other weeks, or without the last day, is not covered any more.
        ({}, {"week_starts": "sunday"}),
        ({}, {"end_inclusive": False}),
    ],
)
def test_another_question_is_another_query(export: dict[str, Any], account: dict[str, Any]) -> None:
    assert query_digest(plan(export, **account)) != query_digest(plan())


@pytest.mark.parametrize(
    ("export", "account"),
    [
        ({"every": "2h", "lookback": "9d", "since": "2026-01-01", "refresh": "0 4 * * 0"}, {}),
        ({}, {"requests_per_minute": 7, "concurrency": 3}),
        ({}, {"url": "https://other.example", "api_key": SecretStr("key-2")}),
    ],
)
def test_another_pace_or_key_is_the_same_query(export: dict[str, Any], account: dict[str, Any]) -> None:
    assert query_digest(plan(export, **account)) == query_digest(plan())


def test_another_key_or_address_is_another_access() -> None:
    digests = {access_digest(plan(**more)) for more in ({}, {"api_key": SecretStr("key-2")}, {"url": "https://other"})}
    assert len(digests) == 3
    assert access_digest(plan(requests_per_minute=7)) in digests
    assert all(len(digest) == 8 for digest in digests)
