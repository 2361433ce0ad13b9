"""What is wrong with a configuration is told with its key, its cure and the nearest right name."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from scheduler.sources.catalogue import vendor_of
from scheduler.sources.tolinku.datasets import DATASETS
from scheduler.sources.tolinku.vendor import Tolinku
from tests.scheduler.sources.tolinku.world import account, export

if TYPE_CHECKING:
    from runtime.cross_checks import Conflict
    from runtime.settings import ExportSettings


def conflicts(settings: ExportSettings) -> list[Conflict]:
    return list(Tolinku().export_conflicts(account(), settings, ("exports", 0)))


def told(settings: ExportSettings) -> tuple[str, str, str]:
    """Return the only conflict: the key it is told at, the message, the cure."""
    (conflict,) = conflicts(settings)
    return ".".join(map(str, conflict.paths[0][2:])), conflict.message, conflict.cure


def test_the_catalogue_knows_it() -> None:
    assert isinstance(vendor_of("tolinku"), Tolinku)


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_dataset_needs_nothing_but_its_name(dataset: str) -> None:
    assert conflicts(export(dataset)) == []


def test_there_are_the_twelve_query_endpoints() -> None:
    assert len(DATASETS) == 12


@pytest.mark.parametrize(
    ("settings", "key", "message", "cure"),
    [
        ({"api_key": None}, "api_key", "is required", "tolk_sec_"),
        ({"api_key": SecretStr("tolk_pub_acme")}, "api_key", "publishable", "tolk_sec_"),
        ({"client_secret": SecretStr("x")}, "client_secret", "is not used by tolinku", "leave it out"),
        ({"login": "me"}, "login", "is not used by tolinku", "api_key"),
    ],
)
def test_credentials(settings: dict[str, Any], key: str, message: str, cure: str) -> None:
    (conflict,) = Tolinku().account_conflicts(account(**settings), ("accounts", 3))

    assert conflict.paths == (("accounts", 3, key),)
    assert message in conflict.message
    assert cure in conflict.cure
    assert "acme" not in conflict.message


def test_a_secret_key_is_all_that_an_account_needs() -> None:
    assert list(Tolinku().account_conflicts(account(), ("accounts", 0))) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (export("revenue-by-chanel"), ("dataset", "no dataset", 'did you mean "revenue-by-channel"?')),
        (export("xyz"), ("dataset", "no dataset", "give one of overview, ")),
        (export("user-journey"), ("dataset", "about one user", "sluice exports journey USER")),
        (export(compare="1mo"), ("compare", "is not supported", "leave it out")),
        (export(id=["x"]), ("id", "records", "leave it out")),
        (export(resolution="HOUR"), ("resolution", "whole days only", "DAY, WEEK, MONTH, QUARTER, YEAR or TOTAL")),
        (export("revenue-timeseries", resolution="WEEK"), ("resolution", "does not answer by WEEK", "it is DAY")),
        (export("cohorts", resolution="DAY"), ("resolution", "does not answer by DAY", "it is TOTAL")),
        (export(lookback="query", resolution="DAY"), ("resolution", "has no buckets", "it is TOTAL")),
        (export(query={"limit": 5}), ("query.limit", "no parameter of overview", "leave it out")),
        (export("top-products", query={"limits": 5}), ("query.limits", "no parameter", 'did you mean "limit"?')),
        (export("attribution", query={"modle": 1}), ("query.modle", "no parameter", 'did you mean "model"?')),
        (export("attribution", query={"zzz": 1}), ("query.zzz", "no parameter", "there is model or window")),
        (export("top-products", query={"limit": 0}), ("query.limit", "too small", "at least 1")),
        (export("top-products", query={"limit": 101}), ("query.limit", "too large", "at most 100")),
        (export("top-products", query={"limit": "20"}), ("query.limit", "no whole number", "without quotes")),
        (export("top-products", query={"limit": True}), ("query.limit", "no whole number", "without quotes")),
        (export("top-products", query={"limit": [20]}), ("query.limit", "is a list", "give one value")),
        (export("attribution", query={"model": "liner"}), ("query.model", "no choice", 'did you mean "linear"?')),
        (export("attribution", query={"window": 31}), ("query.window", "no choice", "7, 14, 30, 60 or 90")),
        (export("attribution", query={"window": "30"}), ("query.window", "no choice", "7, 14, 30, 60 or 90")),
        (export("attribution", query={"window": [7, 30]}), ("query.window", "is a list", "name it in split")),
        (export("cohorts", query={"months": 0}), ("query.months", "too small", "at least 1")),
        (export("funnel", split=["days"]), ("split.0", "cannot be split", "leave it out")),
        (export("attribution", split=["modle"]), ("split.0", "cannot be split", "split model or window")),
        (export(query={"days": 30}), ("query.days", "filled in by the scheduler", 'lookback = "query"')),
        (export(query={"days": 0}, lookback="query"), ("query.days", "too small", "at least 1")),
        (export(query={"start": "2026-01-01"}, lookback="query"), ("query.start", "with end only", "add end")),
        (
            export(query={"start": "1/2/26", "end": "2026-01-01"}, lookback="query"),
            ("query.start", "is no date", "2026-01-31"),
        ),
        (
            export(query={"start": "2026-01-02", "end": "2026-01-01"}, lookback="query"),
            ("query.end", "before start", "exchange"),
        ),
        (
            export(query={"start": "2026-01-01", "end": "2026-01-01", "days": 3}, lookback="query"),
            ("query.days", "is ignored", "leave it out"),
        ),
    ],
)
def test_exports(settings: ExportSettings, expected: tuple[str, str, str]) -> None:
    key, message, cure = told(settings)

    assert key == expected[0]
    assert expected[1] in message
    assert expected[2] in cure


def test_a_wrong_value_of_a_split_list_is_told_at_its_place() -> None:
    settings = export("attribution", query={"window": [7, 8]}, split=["window"])

    assert told(settings)[0] == "query.window.1"


def test_all_faults_are_told_at_once() -> None:
    settings = export("attribution", compare="7d", resolution="HOUR", query={"model": "x", "window": 1, "days": 2})

    assert len(conflicts(settings)) == 5


@pytest.mark.parametrize(
    "settings",
    [
        export("attribution", query={"model": ["linear", "time_decay"], "window": [7, 90]}, split=["model", "window"]),
        export("top-products", query={"limit": 100}, resolution="WEEK"),
        export("cohorts", query={"months": 24}, resolution="TOTAL"),
        export("cohorts", lookback="query"),
        export(query={"start": date(2026, 1, 1), "end": "2026-01-31"}, lookback="query"),
        export("revenue-timeseries", query={"days": 90}, lookback="query", resolution="DAY"),
    ],
)
def test_what_is_right_is_not_told(settings: ExportSettings) -> None:
    assert conflicts(settings) == []


def test_shapes() -> None:
    shape = Tolinku().shape

    daily = shape(account(), export("funnel", timezone="Europe/Copenhagen"))
    assert (daily.resolution, daily.time_axis, daily.max_buckets, daily.dated) == ("DAY", False, None, True)
    assert daily.zone.key == "Europe/Copenhagen"
    series = shape(account(), export("revenue-timeseries"))
    assert (series.resolution, series.time_axis, series.max_buckets, series.zone.key) == ("DAY", True, 366, "UTC")
    assert shape(account(), export("cohorts")).resolution == "TOTAL"
    assert shape(account(), export("overview", resolution="MONTH")).resolution == "MONTH"
    own_dates = shape(account(), export("overview", lookback="query"))
    assert (own_dates.resolution, own_dates.dated) == ("TOTAL", False)
