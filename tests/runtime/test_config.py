from __future__ import annotations

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from runtime import config
from runtime.settings import ForwarderSettings
from runtime.spans import Compare, Lookback
from tests.runtime.checked import SHOP, Checked


@pytest.fixture
def file(tmp_path: Path) -> Checked:
    return Checked(tmp_path)


def test_without_a_file_there_are_development_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = config.load(environ={})
    (demo,) = settings.storefronts

    assert config.find() is None
    assert demo.name == "demo"
    assert [key.get_secret_value() for key in (*demo.publishable_keys, *demo.secret_keys)] == [
        "tolk_pub_demo",
        "tolk_sec_demo",
    ]
    assert demo.ingestion.url == "http://127.0.0.1:8081"
    assert demo.ingestion.api_key.get_secret_value() == "tolk_sec_demo"
    assert (settings.broker.kind, settings.gateway.port, settings.admin.port_of("forwarder")) == (
        "embedded",
        8080,
        9101,
    )


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.2", "http://127.0.0.2:7001"), ("::", "http://127.0.0.1:7001"), ("::1", "http://[::1]:7001")],
)
def test_the_demo_storefront_follows_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = config.load(environ={"SLUICE_SANDBOX__HOST": host, "SLUICE_SANDBOX__PORT": "7001"})

    assert settings.storefronts[0].ingestion.url == url
    assert [account.url for account in settings.accounts] == [url, f"{url}/profitmetrics"]


def test_the_demo_exports_pull_from_two_vendors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = config.load(environ={})

    assert [(account.name, account.source) for account in settings.accounts] == [
        ("demo-tolinku", "tolinku"),
        ("demo-profit", "profitmetrics"),
    ]
    assert [(export.name, export.dataset, str(export.lookback)) for export in settings.exports] == [
        ("demo-overview", "overview", "all"),
        ("demo-revenue", "revenue-timeseries", "7d"),
        ("demo-products", "top-products", "1d"),
        ("demo-attribution", "attribution", "7d"),
        ("demo-profit-daily", "reports", "3d"),
    ]


@pytest.mark.parametrize(
    ("environ", "accounts"),
    [
        ({"SLUICE_EXPORTS": "[]"}, 0),
        ({"SLUICE_ACCOUNTS": '[{"name": "a", "source": "websale", "url": "http://h"}]'}, 1),
        (
            {
                "SLUICE_STOREFRONTS": (
                    '[{"name": "s", "secret_keys": ["k"], "ingestion": {"url": "http://h", "api_key": "k"}}]'
                )
            },
            0,
        ),
    ],
)
def test_without_a_file_what_the_environment_gives_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], accounts: int
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = config.load(environ=environ)

    assert (len(settings.accounts), settings.exports) == (accounts, [])


def test_the_demo_storefront_needs_a_sandbox_whose_port_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(config.ConfigError) as caught:
        config.load(environ={"SLUICE_SANDBOX__PORT": "0"})

    assert str(caught.value) == (
        "SLUICE_SANDBOX__PORT: sandbox.port: 0 stands for any port: the development storefront could not know which; "
        "give it one"
    )


def test_sluice_toml_in_the_working_directory_is_the_default(file: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    file.path.write_text(SHOP, encoding="utf-8")
    monkeypatch.chdir(file.path.parent)

    assert config.find() == Path("sluice.toml")
    assert [storefront.name for storefront in config.load(environ={}).storefronts] == ["acme"]


def test_the_environment_overrides_the_file(file: Checked) -> None:
    text = f'[broker]\nkind = "embedded"\npartitions = 3\n{SHOP}'
    environ = {
        "SLUICE_BROKER__KIND": "kafka",
        "SLUICE_GATEWAY__DRAIN_SECONDS": "2.5",
        "SLUICE_BROKER__CREATE_TOPICS": "false",
        "SLUICE_BROKER__PATH": "",
    }
    settings = file.load(text, environ)

    assert (settings.broker.kind, settings.broker.partitions, settings.broker.create_topics) == ("kafka", 3, False)
    assert settings.gateway.drain_seconds == 2.5
    assert settings.broker.path == "sluice-data"  # an empty variable counts as absent


def test_storefronts_may_come_as_json(file: Checked) -> None:
    shop = '[{"name": "env", "secret_keys": ["k"], "ingestion": {"url": "http://h/", "api_key": "env:KEY"}}]'
    settings = file.load(SHOP, {"SLUICE_STOREFRONTS": shop, "KEY": "tolk_sec_1"})

    assert [storefront.name for storefront in settings.storefronts] == ["env"]
    assert settings.storefronts[0].ingestion.url == "http://h"
    assert settings.storefronts[0].ingestion.api_key.get_secret_value() == "tolk_sec_1"


def test_secrets_by_reference(file: Checked, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("tolk_sec_from_file\n", encoding="utf-8")
    text = SHOP.replace('["tolk_pub_acme"]', '["env:PUB", "plain:text"]').replace(
        '"tolk_sec_acme"', f'"file:{tmp_path}/key"'
    )
    (shop,) = file.load(text, {"PUB": "tolk_pub_from_env"}).storefronts

    assert [key.get_secret_value() for key in shop.publishable_keys] == ["tolk_pub_from_env", "plain:text"]
    assert shop.ingestion.api_key.get_secret_value() == "tolk_sec_from_file"
    assert "tolk_" not in repr(shop)


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("env:NOPE", "the environment variable NOPE is not set; set NOPE, or name another one as env:NAME"),
        ("env:EMPTY", "the environment variable EMPTY is empty; set EMPTY, or name another one as env:NAME"),
        (
            "env:tolk_sec_oops",
            "names a key where a variable's name is expected; write env:NAME, or the key without env:",
        ),
        (
            "file:/nowhere/key",
            "the file '/nowhere/key' cannot be read: No such file or directory; put the secret there, or correct the path",
        ),
        ("file:{here}", "the file '{here}' cannot be read: Is a directory; put the secret there, or correct the path"),
        ("file:{here}/blank", "is empty; give the secret, env:NAME or file:/path"),
        (
            "file:{here}/large",
            "the file '{here}/large' is larger than 64 KiB; name the file that holds nothing but the secret",
        ),
        ("file:{here}/binary", "the file '{here}/binary' is no UTF-8 text; put the secret there as text"),
        (
            "file:/a\\u0000b",
            "the file '/a\\x00b' cannot be read: no valid path; put the secret there, or correct the path",
        ),
        ("", "is empty; give the secret, env:NAME or file:/path"),
    ],
)
def test_a_secret_that_cannot_be_had_is_named_by_key_and_line(
    file: Checked, tmp_path: Path, reference: str, told: str
) -> None:
    (tmp_path / "blank").write_text("\n", encoding="utf-8")
    (tmp_path / "large").write_bytes(b"x" * 65_537)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    text = SHOP.replace("tolk_sec_acme", reference.format(here=tmp_path))

    (fault,) = file.faults(text, {"EMPTY": ""})
    assert fault == f"sluice.toml:7: storefronts[0].ingestion.api_key: {told.format(here=tmp_path)}"
    assert "oops" not in fault


def test_every_fault_is_named_at_once_with_key_line_and_cure(file: Checked) -> None:
    text = """\
[broker]
kind = "kafk"
partitons = 3
[gateway]
port = true
drain_seconds = "soon"
record_clients = "none"
[admin]
port = 99999
[[storefronts]]
nmae = "acme"
publishable_keys = ["tolk_sec_x", 7]
origins = ["https://Shop.example/", "*", "shop.example"]
[storefronts.ingestion]
url = "ftp://x"
[[storefronts]]
name = "Not A Name"
secret_keys = "tolk_sec_1"
ingestion = 3
[sandbx]
[forwarder]
bootstrap_servers = "x:1"
max_in_flight = 0
gateway = {}
"""
    origins = "is not as browsers send it: no path, lower case, no default port"
    assert file.faults(text) == [
        "sluice.toml:2: broker.kind: has a value that is not known; use 'embedded' or 'kafka'",
        'sluice.toml:3: broker.partitons: unknown key; did you mean "partitions"?',
        "sluice.toml:5: gateway.port: is true or false where a number is expected; give a number",
        "sluice.toml:6: gateway.drain_seconds: is no number; give one, without quotes",
        'sluice.toml:7: gateway.record_clients: unknown key; did you mean "record_client"?',
        "sluice.toml:9: admin.port: is too large; give at most 65535",
        'sluice.toml:11: storefronts[0].nmae: unknown key; did you mean "name"?',
        "sluice.toml:12: storefronts[0].publishable_keys[1]: is no text; put it in quotes",
        "sluice.toml:12: storefronts[0].publishable_keys[0]: begins with tolk_sec_; move it to secret_keys",
        f'sluice.toml:13: storefronts[0].origins[0]: {origins}; write "https://shop.example"',
        'sluice.toml:13: storefronts[0].origins[1]: "*" is no origin; leave origins empty to allow any',
        'sluice.toml:13: storefronts[0].origins[2]: is no origin; write scheme://host[:port], like "https://shop.acme.example"',
        "sluice.toml:14: storefronts[0].ingestion.api_key: is missing; add it",
        'sluice.toml:15: storefronts[0].ingestion.url: is no http(s) URL with a host; write it like "https://acme.tolinku.com"',
        'sluice.toml:17: storefronts[1].name: is no storefront\'s name; use 1 to 63 of a-z, 0-9 and "-"',
        "sluice.toml:18: storefronts[1].secret_keys: is no list; put it in brackets",
        "sluice.toml:19: storefronts[1].ingestion: is no table; give it keys of its own",
        'sluice.toml:20: sandbx: unknown key; did you mean "sandbox"?',
        'sluice.toml:22: forwarder.bootstrap_servers: unknown key; did you mean "broker.bootstrap_servers"?',
        "sluice.toml:23: forwarder.max_in_flight: is too small; give at least 1",
        f"sluice.toml:24: forwarder.gateway: unknown key; known are {', '.join(ForwarderSettings.model_fields)}",
    ]


@pytest.mark.parametrize("value", ["true", "[true]", "{}"])
@pytest.mark.parametrize("key", ["host", "port", "drain_seconds", "spool_path"])
def test_a_value_of_the_wrong_kind_is_one_fault(file: Checked, key: str, value: str) -> None:
    (fault,) = file.faults(f"[gateway]\n{key} = {value}\n{SHOP}")

    assert fault.startswith(f"sluice.toml:2: gateway.{key}: is ")


def test_an_odd_key_stays_on_its_line(file: Checked) -> None:
    (fault,) = file.faults(f'"a\\nb".c = 1\n{SHOP}')

    assert fault.startswith('sluice.toml:1: "a\\nb": unknown key; ')


def test_a_fault_is_data_too(file: Checked) -> None:
    with pytest.raises(config.ConfigError) as caught:
        file.load(SHOP.replace("name", "nmae"))

    assert caught.value.faults == [
        config.Fault("storefronts[0].nmae", 3, "unknown key", 'did you mean "name"?', str(file.path))
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = 1\nkind = kafka\n", "sluice.toml:2: no valid TOML: Invalid value"),
        ("a = 1\na = 2\n", "sluice.toml:2: no valid TOML: Cannot overwrite a value"),
        ("[broker]\nkind = [1,\n\n", "sluice.toml:2: no valid TOML: "),
        ("x = " + "[" * 5000, "sluice.toml: no valid TOML: nested too deeply"),
    ],
)  # fmt: skip
def test_broken_toml_is_named_by_line(file: Checked, text: str, told: str) -> None:
    (fault,) = file.faults(text)

    assert fault.startswith(told)
    assert ";" in fault


def test_a_file_that_is_no_text_or_not_there(file: Checked, tmp_path: Path) -> None:
    file.path.write_bytes(b"[broker]\n# \xff\n")
    with pytest.raises(config.ConfigError, match=r"sluice.toml:2: is no UTF-8 text; save the file as UTF-8"):
        config.load(file.path, {})
    with pytest.raises(config.ConfigError, match=r"nowhere.toml: cannot be read: No such file or directory"):
        config.load(tmp_path / "nowhere.toml", {})


def test_a_byte_order_mark_is_taken(file: Checked) -> None:
    file.path.write_text(SHOP, encoding="utf-8-sig")

    assert config.load(file.path, {}).storefronts[0].name == "acme"


def test_a_variables_fault_names_the_variable(file: Checked) -> None:
    environ = {
        "SLUICE_BROKER__KNID": "kafka",
        "SLUICE_FORWARDER__MAX_IN_FLIGHT": "many",
        "SLUICE_STOREFRONTS": "[{]",
        "SLUICE_SANDBOX": '{"port": 70000}',
    }
    assert sorted(file.faults("", environ)) == [
        "SLUICE_BROKER__KNID: broker.knid: unknown key; did you mean SLUICE_BROKER__KIND?",
        "SLUICE_FORWARDER__MAX_IN_FLIGHT: forwarder.max_in_flight: is no whole number; give one, without quotes",
        "SLUICE_SANDBOX: sandbox.port: is too large; give at most 65535",
        "SLUICE_STOREFRONTS: storefronts: is no list; write it as JSON",
    ]


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("SLUICE_BROKR__KIND", "did you mean SLUICE_BROKER__KIND?"),
        ("SLUICE_BROKER_KIND", "did you mean SLUICE_BROKER__KIND?"),
        ("SLUICE_GATEWAY_PORT", "did you mean SLUICE_GATEWAY__PORT?"),
        ("SLUICE_LOG_LEVLE", "did you mean SLUICE_LOG_LEVEL?"),
        (
            "SLUICE_WHATEVER__X",
            "sections are accounts, admin, broker, exports, forwarder, gateway, sandbox, storefronts",
        ),
    ],
)
def test_a_variable_that_sets_nothing_is_a_fault(file: Checked, name: str, cure: str) -> None:
    assert file.faults(SHOP, {name: "8080"}) == [f"{name}: sets nothing; {cure}"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLUICE_LOG_LEVEL", "debug"),
        ("SLUICE_PARENT_FD", "3"),
        ("SLUICE_VERSION", "1.2"),
        ("SLUICE_GATEWAY_PORT", "tcp://10.0.0.1:8080"),
        ("SLUICE_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("SLUICE_GATEWAY_SERVICE_PORT_HTTP", "8080"),
        ("SLUICE_GATEWAY_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("SLUICE_BROKR__KIND", ""),
    ],
)
def test_a_variable_that_is_not_ours_is_none(file: Checked, name: str, value: str) -> None:
    assert file.load(SHOP, {name: value}).broker.kind == "embedded"


def test_a_variable_that_holds_a_secret_is_not_judged(file: Checked) -> None:
    text = SHOP.replace("tolk_sec_acme", "env:SLUICE_ACME__KEY")

    assert file.load(text, {"SLUICE_ACME__KEY": "tolk_sec_1"}).storefronts[0].name == "acme"


def test_no_secret_stands_in_a_fault(file: Checked, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2 in a file", encoding="utf-8")
    text = f"""\
[broker]
sasl_plain_password = ["hunter2"]
[[storefronts]]
name = "acme"
publishable_keys = ["hunter2", "hunter2", "tolk_sec_hunter2", "env:KEY"]
secret_keys = ["tolk_pub_hunter2", "file:{tmp_path}/key"]
[storefronts.ingestion]
url = "https://user:hunter2@acme.example"
api_key = "tolk_pub_hunter2 "
"""
    faults = file.faults(
        text, {"KEY": "hunter2", "SLUICE_BROKER__SSL_PASSWORD": '"hunter2', "SLUICE_BROKER": "hunter2"}
    )

    assert len(faults) > 6
    assert "hunter2" not in "\n".join(faults)


def test_the_whole_example_of_the_documentation_checks_clean(file: Checked) -> None:
    environ = dict.fromkeys(("ACME_INGESTION_KEY", "PROFITMETRICS_API_KEY"), "tolk_sec_1") | {
        "ACME_SECRET_KEY": "tolk_sec_2"
    }
    settings = file.load((Path(__file__).parent / "design.toml").read_text(encoding="utf-8"), environ)

    assert settings.storefronts[0].ingestion.requests_per_minute == 900
    (account,), (export,) = settings.accounts, settings.exports
    assert account.api_key is not None
    assert (account.source, account.api_key.get_secret_value()) == ("profitmetrics", "tolk_sec_1")
    assert (export.schedule, export.every, export.refresh) == ("15 * * * *", None, "0 4 * * 0")
    assert (export.timezone, export.lookback) == (ZoneInfo("Europe/Copenhagen"), Lookback("days", 3))
    assert (export.since, export.compare) == (date(2026, 1, 1), Compare(months=1))
    assert (export.split, export.id, export.drop) == (["sites"], ["id"], [])
    assert export.query["currency"] == "EUR"
    assert "tolk_sec" not in repr(settings)
