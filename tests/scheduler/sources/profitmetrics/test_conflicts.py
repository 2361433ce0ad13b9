"""What `config check` says about an account and an export of this vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from runtime.settings import AccountSettings
from runtime.spans import Compare, Lookback
from scheduler.sources.profitmetrics.vendor import ProfitMetrics
from schemas.profitmetrics import METRICS
from tests.sandbox.profitmetrics.asking import EUROS, KRONER
from tests.scheduler.sources.profitmetrics.world import COPENHAGEN, account, export

if TYPE_CHECKING:
    from runtime.cross_checks import Conflict
    from runtime.settings import ExportSettings

OUTER, INNER = "calculateWithNotConfiguredMarketingChannels", "allowPartialMarketingChannels"
PATH = ("exports", 0)
NO_WEEKS, NO_MONTHS = (f"is no number of {unit}, while the buckets are {unit}" for unit in ("weeks", "months"))
LEFT_OUT = "is no number: this endpoint leaves it out of its answers"


def conflicts(settings: ExportSettings) -> list[Conflict]:
    return list(ProfitMetrics().export_conflicts(account(), settings, PATH))


def only(settings: ExportSettings) -> tuple[tuple[str | int, ...], str, str]:
    """Return where the only conflict is, below the export, with its message and cure."""
    (conflict,) = conflicts(settings)
    assert conflict.paths[0][:2] == PATH
    return conflict.paths[0][2:], conflict.message, conflict.cure


GOOD = [
    export(["TURNOVER", "ADSPEND_BY_CHANNEL", "GOOGLE_ADSPEND_TIMESTAMP"]),
    export(list(METRICS), sites=[EUROS, KRONER], split=["sites"], compare=Compare(months=1)),
    export(["TURNOVER"], timezone=COPENHAGEN, flags={OUTER: True, INNER: True}),
    export(["TURNOVER"], exchangeType="CURRENT", lookback=Lookback("all"), flags={OUTER: False, INNER: False}),
    export(["BRAND_NEW"]),
    export(["TURNOVER"], resolution="WEEK", compare=Compare(days=364)),
    export(["TURNOVER"], resolution="MONTH", compare=Compare(months=12)),
    export(["TURNOVER"], resolution="TOTAL", compare=Compare(days=3)),
    export(dataset="export"),
    export([], dataset="export", currency=None),
    export(["TURNOVER"], dataset="export", currency=None, csids=[EUROS, KRONER], split=["csids"]),
    export(["TURNOVER"], dataset="export", csids=[EUROS, KRONER], lookback=Lookback("all")),
    export(dataset="metrics"),
    export(dataset="metrics", lookback=Lookback("query")),
]


@pytest.mark.parametrize("settings", GOOD)
def test_nothing_is_wrong(settings: ExportSettings) -> None:
    assert conflicts(settings) == []
    assert ProfitMetrics().shape(account(), settings).zone is settings.timezone


QUERY = [
    ({"sites": None}, ("sites",), "is missing"),
    ({"sites": []}, ("sites",), "is empty"),
    ({"sites": EUROS}, ("sites",), "is no list"),
    ({"sites": [True]}, ("sites", 0), "is no CSID"),
    ({"sites": [EUROS, str(KRONER)]}, ("sites", 1), "is no CSID"),
    ({"sites": [EUROS, EUROS]}, ("sites", 1), "stands there twice"),
    ({"currency": None}, ("currency",), "is missing"),
    ({"currency": "EURO"}, ("currency",), "is no currency"),
    ({"currency": "eur"}, ("currency",), "is no currency"),
    ({"currency": 978}, ("currency",), "is no currency"),
    ({"resolution": None}, ("resolution",), "is missing"),
    ({"resolution": "QUARTER"}, ("resolution",), "is none that ProfitMetrics knows"),
    ({"resolution": "YEAR"}, ("resolution",), "is none that ProfitMetrics knows"),
    ({"resolution": 1}, ("resolution",), "is none that ProfitMetrics knows"),
    ({"metrics": None}, ("metrics",), "is missing or empty"),
    ({"metrics": []}, ("metrics",), "is missing or empty"),
    ({"metrics": "TURNOVER"}, ("metrics",), "is no list"),
    ({"metrics": ["TURNOVER", 1]}, ("metrics", 1), "is no name"),
    ({"metrics": ["TURNOVER", "TURNOVER"]}, ("metrics", 1), "stands there twice"),
    ({"period": {}}, ("period",), "is filled in by the scheduler"),
    ({"comparePeriod": {}}, ("comparePeriod",), "is filled in by the scheduler"),
    ({"lookbackWindow": 3}, ("lookbackWindow",), "is filled in by the scheduler"),
    ({"id": "x"}, ("id",), "is filled in by the scheduler"),
    ({"timezone": "UTC"}, ("timezone",), "is not the export's own timezone, Europe/Copenhagen"),
    ({"exchangeType": "HISTORIC"}, ("exchangeType",), "is none that ProfitMetrics knows"),
    ({INNER: True}, (INNER,), f"has no effect without {OUTER}"),
    ({INNER: True, OUTER: False}, (INNER,), f"has no effect without {OUTER}"),
    ({OUTER: "yes"}, (OUTER,), "is neither true nor false"),
    ({"reports": []}, ("reports",), "an export is one report"),
    ({"chartReports": []}, ("chartReports",), "chart reports are deliberately not supported"),
    ({"curency": "EUR"}, ("curency",), "unknown field"),
    ({"csids": [EUROS]}, ("csids",), "unknown field"),
]


@pytest.mark.parametrize(("change", "where", "message"), QUERY)
def test_a_reports_query(change: dict[str, Any], where: tuple[str | int, ...], message: str) -> None:
    settings = export(["TURNOVER"], timezone=COPENHAGEN)
    query = {name: value for name, value in {**settings.query, **change}.items() if value is not None}
    # `resolution`, `id` and `timezone` are keys of an export, too: here they stand in the query.
    path, told, cure = only(settings.model_copy(update={"query": query}))
    assert (path, told) == (("query", *where), message)
    assert cure


EXPORT = [
    (["TURNOVER"], {"csids": None}, ("csids",), "is missing"),
    (["TURNOVER"], {"currency": None, "csids": [EUROS, KRONER]}, ("currency",), "is missing, which several csids need"),
    (["ADSPEND_BY_CHANNEL"], {}, ("metrics", 0), f"ADSPEND_BY_CHANNEL {LEFT_OUT}"),
    (["TURNOVER", "GOOGLE_ADSPEND_TIMESTAMP"], {}, ("metrics", 1), f"GOOGLE_ADSPEND_TIMESTAMP {LEFT_OUT}"),
    (["TURNOVER"], {OUTER: True}, (OUTER,), "the dataset export has no such field"),
    (["TURNOVER"], {INNER: True}, (INNER,), "the dataset export has no such field"),
    (["TURNOVER"], {"sites": [EUROS]}, ("sites",), "unknown field"),
]  # fmt: skip


@pytest.mark.parametrize(("metrics", "change", "where", "message"), EXPORT)
def test_an_exports_query(
    metrics: list[str], change: dict[str, Any], where: tuple[str | int, ...], message: str
) -> None:
    path, told, cure = only(export(metrics, dataset="export", **change))
    assert (path, told) == (("query", *where), message)
    assert cure


KEYS = [
    (export(["TURNOVER"], compare=Compare(days=7), dataset="export"), ("compare",), "the dataset export compares nothing"),
    (export(["TURNOVER"], lookback=Lookback("query")), ("lookback",), "the query holds no dates here"),
    (export(["TURNOVER"], id=["id"]), ("id",), "is not used by profitmetrics"),
    (export(["TURNOVER"], drop=["id"]), ("drop",), "is not used by profitmetrics"),
    (export(["TURNOVER"], split=["metrics"]), ("split", 0), "metrics stand side by side in each row already"),
    (export(["TURNOVER"], split=["csids"]), ("split", 0), "is no list to split"),
    (export(["TURNOVER"], resolution="WEEK", compare=Compare(months=12)), ("compare",), NO_WEEKS),
    (export(["TURNOVER"], resolution="WEEK", compare=Compare(days=10)), ("compare",), NO_WEEKS),
    (export(["TURNOVER"], resolution="MONTH", compare=Compare(days=28)), ("compare",), NO_MONTHS),
    (export(dataset="metrics", sites=[EUROS]), ("query", "sites"), "the dataset metrics takes no fields"),
    (export(["TURNOVER"]).model_copy(update={"resolution": "DAY"}), ("resolution",), "is not used: the vendor's query has it"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "where", "message"), KEYS)
def test_an_exports_keys(settings: ExportSettings, where: tuple[str | int, ...], message: str) -> None:
    path, told, cure = only(settings)
    assert (path, told) == (where, message)
    assert cure


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("csv", "deprecated"),
        ("export.csv", "deprecated"),
        ("chartReports", "deliberately not supported"),
        ("report", 'did you mean "reports"?'),
        ("orders", "give one of export, reports or metrics"),
    ],
)
def test_other_datasets(dataset: str, words: str) -> None:
    path, message, cure = only(export().model_copy(update={"dataset": dataset}))
    assert path == ("dataset",)
    assert words in f"{message}; {cure}"


@pytest.mark.parametrize(
    ("field", "cure"), [("csids", "sites"), ("curency", "currency"), ("metric", "metrics"), ("TimeZone", "timezone")]
)
def test_a_misspelt_field_and_the_nearest(field: str, cure: str) -> None:
    settings = export(["TURNOVER"])
    assert only(settings.model_copy(update={"query": {**settings.query, field: 1}}))[2] == f"did you mean {cure}?"


def test_unknown_metrics_only_warn() -> None:
    settings = export(["TURNOVER", "GROS_PROFIT", "turnover", "QQ"])
    assert conflicts(settings) == []
    warnings = list(ProfitMetrics().warnings(settings, PATH))
    assert [warning.paths[0][2:] for warning in warnings] == [("query", "metrics", index) for index in (1, 2, 3)]
    assert [warning.cure for warning in warnings][:2] == ["did you mean GROSS_PROFIT?", "did you mean TURNOVER?"]
    assert not list(ProfitMetrics().warnings(export(list(METRICS)), PATH))
    assert not list(ProfitMetrics().warnings(export(dataset="metrics"), PATH))


def test_an_account_has_a_key_and_nothing_else() -> None:
    path = ("accounts", 0)
    vendor = ProfitMetrics()
    assert not list(vendor.account_conflicts(account(), path))
    bare = AccountSettings(name="profit", source="profitmetrics", url="https://api.my.profitmetrics.io")
    (missing,) = vendor.account_conflicts(bare, path)
    assert (missing.paths, missing.message) == (((*path, "api_key"),), "is required by profitmetrics")
    others = account(login="me", password=SecretStr("x"), client_id="x", client_secret=SecretStr("x"), scope="x")
    found = list(vendor.account_conflicts(others, path))
    assert {conflict.paths[0][-1] for conflict in found} == {"login", "password", "client_id", "client_secret", "scope"}


def test_shapes() -> None:
    def shape(**more: Any) -> tuple[str, bool, int | None, bool]:
        found = ProfitMetrics().shape(
            account(), export(["TURNOVER"] if more.get("dataset") != "metrics" else None, **more)
        )
        return found.resolution, found.time_axis, found.max_buckets, found.dated

    assert shape(resolution="HOUR") == ("HOUR", True, 744, True)
    assert shape(resolution="DAY") == ("DAY", True, 366, True)
    assert shape(resolution="TOTAL") == ("TOTAL", True, None, True)
    assert shape(resolution="HOUR", dataset="export") == ("HOUR", True, None, True)
    assert shape(dataset="metrics") == ("NONE", True, None, False)
