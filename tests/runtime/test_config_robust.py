"""Whatever stands in a file, faults come of it or settings, nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import config
from runtime.settings import (
    AdminSettings,
    BrokerSettings,
    ForwarderSettings,
    GatewaySettings,
    IngestionSettings,
    SandboxSettings,
    Section,
    Settings,
    StorefrontSettings,
)

if TYPE_CHECKING:
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
documents = st.fixed_dictionaries(
    {},
    optional={
        "broker": st.dictionaries(keys, scalars, max_size=6) | anything,
        "gateway": st.dictionaries(keys, scalars, max_size=6),
        "admin": st.dictionaries(keys, scalars, max_size=2),
        "sandbox": st.dictionaries(keys, anything, max_size=3),
        "storefronts": st.lists(likely_storefront, max_size=3) | anything,
        "accounts": st.lists(anything, max_size=2),
        "knid": anything,
    },
)


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {inline(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return json.dumps(value)


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
        assert config.load(path, environ).storefronts
    except config.ConfigError as error:
        faults = error.faults
    for fault in faults:
        assert fault.message
        assert "\n" not in str(fault)
        assert fault.line is None or 1 <= fault.line <= len(document)
