"""Whatever stands in a file, faults come of it or settings, nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import config
from runtime.cross_checks import Conflict
from runtime.settings import (
    AccountSettings,
    AdminSettings,
    BrokerSettings,
    ExportSettings,
    ForwarderSettings,
    GatewaySettings,
    IngestionSettings,
    SandboxSettings,
    Section,
    Settings,
    StorefrontSettings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

SECTIONS: tuple[type[Section], ...] = (
    Settings,
    StorefrontSettings,
    IngestionSettings,
    BrokerSettings,
    GatewaySettings,
    AdminSettings,
    ForwarderSettings,
    SandboxSettings,
    AccountSettings,
    ExportSettings,
)
KEYS = sorted({key for section in SECTIONS for key in section.model_fields})

keys = st.one_of(st.sampled_from(KEYS), st.sampled_from(["knid", "nmae", "x y", "0"]))
scalars = st.one_of(
    st.sampled_from([0, 1, 8080, 8081, 9100, -1, 70_000, True, False, 0.5]),
    st.sampled_from(
        [
            "",
            "kafka",
            "a:1",
            "acme",
            "tolk_pub_1",
            "tolk_sec_1",
            "env:X",
            "env:NOT",
            "file:/nowhere",
            "http://h:8081",
            "*",
        ]
    ),
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
likely_storefront = st.fixed_dictionaries(
    {},
    optional={
        "name": scalars,
        "publishable_keys": st.lists(scalars, max_size=3) | anything,
        "secret_keys": st.lists(scalars, max_size=3),
        "origins": st.lists(scalars, max_size=2),
        "ingestion": st.fixed_dictionaries({}, optional={"url": scalars, "api_key": scalars}) | anything,
        "nmae": scalars,
    },
)
likely_account = st.fixed_dictionaries(
    {},
    optional={
        "name": scalars,
        "source": st.sampled_from(["tolinku", "websale"]) | scalars,
        "url": scalars,
        "api_key": scalars,
        "concurrency": scalars,
    },
)
likely_export = st.fixed_dictionaries(
    {},
    optional={
        "name": scalars,
        "account": scalars,
        "dataset": scalars,
        "every": st.sampled_from(["1h", "0s"]) | scalars,
        "schedule": st.sampled_from(["0 * * * *", "0 0 30 2 *"]) | scalars,
        "timezone": st.sampled_from(["Europe/Berlin", "Europe/Bonn"]) | scalars,
        "lookback": st.sampled_from(["all", "query", "1d"]) | scalars,
        "since": st.sampled_from(["2026-01-01", "9999-12-31"]) | anything,
        "compare": st.sampled_from(["1mo", "1m"]) | anything,
        "split": st.lists(scalars, max_size=2) | anything,
        "query": st.dictionaries(scalars.filter(lambda key: isinstance(key, str)), anything, max_size=2) | anything,
    },
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "broker": st.dictionaries(keys, scalars, max_size=6) | anything,
        "gateway": st.dictionaries(keys, scalars, max_size=6),
        "admin": st.dictionaries(keys, scalars, max_size=2),
        "sandbox": st.dictionaries(keys, anything, max_size=3),
        "storefronts": st.lists(likely_storefront, max_size=3) | anything,
        "accounts": st.lists(likely_account, max_size=2) | anything,
        "exports": st.lists(likely_export, max_size=2) | anything,
        "knid": anything,
    },
)


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {inline(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return json.dumps(value)


def everything_is_wrong(checked: Settings) -> Iterator[Conflict]:
    """Find fault with every table that is told to be right so far."""
    accounts = {account.name for account in checked.accounts}
    for table, count in (("accounts", len(checked.accounts)), ("exports", len(checked.exports))):
        yield from (Conflict(((table, index, "query"),), "is wrong", "") for index in range(count))
    assert all(export.account in accounts for export in checked.exports)


@settings(max_examples=300, deadline=None)
@given(
    document=documents,
    overrides=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["", "0", "[]", "{}", "x"]), max_size=2),
)
def test_only_faults_come_of_a_bad_file(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any], overrides: dict[str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "sluice.toml"
    path.write_text("".join(f"{name} = {inline(value)}\n" for name, value in document.items()), encoding="utf-8")
    environ = {"X": "tolk_sec_x", **{f"SLUICE_BROKER__{key.upper()}": value for key, value in overrides.items()}}
    faults: list[config.Fault] = []
    try:
        assert config.load(path, environ, more=everything_is_wrong).storefronts
    except config.ConfigError as error:
        faults = error.faults
    for fault in faults:
        assert fault.message
        assert "\n" not in str(fault)
        assert fault.line is None or 1 <= fault.line <= len(document)
