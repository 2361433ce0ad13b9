from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.runtime.checked import SHOP, Checked

if TYPE_CHECKING:
    from pathlib import Path

NO_SERVERS = 'is no list of servers; write it like "kafka-1:9092,kafka-2:9092"'
OTHER = SHOP.replace("acme", "other")


@pytest.fixture
def file(tmp_path: Path) -> Checked:
    return Checked(tmp_path)


def test_two_storefronts_that_share_nothing_are_right(file: Checked) -> None:
    assert len(file.load(SHOP + OTHER).storefronts) == 2


def test_a_file_without_storefronts(file: Checked) -> None:
    assert file.faults("[broker]\n") == [
        "sluice.toml: storefronts: there is no storefront; add one under [[storefronts]]"
    ]


def test_a_name_stands_once(file: Checked) -> None:
    assert file.faults(SHOP + OTHER.replace('name = "other"', 'name = "acme"')) == [
        "sluice.toml:10: storefronts[1].name: is storefronts[0].name too; give each storefront a name of its own"
    ]


@pytest.mark.parametrize("second", ['publishable_keys = ["tolk_pub_acme"]', 'secret_keys = ["file:{here}/key"]'])
def test_a_key_stands_in_one_storefront_only(file: Checked, tmp_path: Path, second: str) -> None:
    (tmp_path / "key").write_text("the-same", encoding="utf-8")
    text = SHOP if "publishable" in second else SHOP.replace("tolk_pub_acme", "the-same")
    kind = second.partition(" ")[0]
    other = OTHER.replace('publishable_keys = ["tolk_pub_other"]', second.format(here=tmp_path))

    assert file.faults(text + other) == [
        (
            f"sluice.toml:11: storefronts[1].{kind}[0]: stands in storefronts[0].publishable_keys[0] too; "
            "a key stands once, in one storefront only"
        )
    ]


def test_a_storefront_without_keys(file: Checked) -> None:
    (fault,) = file.faults(SHOP.replace('publishable_keys = ["tolk_pub_acme"]\n', ""))

    assert fault == (
        "sluice.toml:2: storefronts[0].publishable_keys: has no keys: nobody could send to it; "
        "add publishable_keys or secret_keys"
    )


def test_a_misspelt_list_of_keys_is_one_fault(file: Checked) -> None:
    assert file.faults(SHOP.replace("publishable_keys", "publishible_keys")) == [
        'sluice.toml:4: storefronts[0].publishible_keys: unknown key; did you mean "publishable_keys"?'
    ]


def test_publishable_and_secret_keys_are_told_apart_by_prefix(file: Checked) -> None:
    text = SHOP.replace('["tolk_pub_acme"]', '["tolk_sec_1"]\nsecret_keys = ["tolk_pub_1"]').replace(
        "tolk_sec_acme", "tolk_pub_acme"
    )

    assert file.faults(text) == [
        "sluice.toml:4: storefronts[0].publishable_keys[0]: begins with tolk_sec_; move it to secret_keys",
        "sluice.toml:5: storefronts[0].secret_keys[0]: begins with tolk_pub_; move it to publishable_keys",
        (
            "sluice.toml:8: storefronts[0].ingestion.api_key: is a publishable key; it may not read analytics; "
            "give a secret one, tolk_sec_…"
        ),
    ]


def test_a_key_without_a_known_prefix_is_taken(file: Checked) -> None:
    assert file.load(SHOP.replace("tolk_pub_", "").replace("tolk_sec_", "x")).storefronts[0].name == "acme"


@pytest.mark.parametrize("key", ["two words", "tab\\there", "grüße"])
def test_a_key_must_fit_into_a_header(file: Checked, key: str) -> None:
    (fault,) = file.faults(SHOP.replace("tolk_pub_acme", key))
    (other,) = file.faults(SHOP.replace("tolk_sec_acme", key))

    assert "publishable_keys[0]: holds characters that no HTTP header may" in fault
    assert "api_key: holds characters that no HTTP header may" in other


def test_no_event_is_larger_than_a_body(file: Checked) -> None:
    (fault,) = file.faults(f"[gateway]\nmax_body_bytes = 2048\n{SHOP}")

    assert fault.startswith("sluice.toml:1: gateway.max_event_bytes: is more than gateway.max_body_bytes")


def test_a_limit_of_dead_letters_allows_one_or_says_that_it_allows_none(file: Checked) -> None:
    (fault,) = file.faults(f"[forwarder]\ndead_letter_window = 9\n{SHOP}")

    assert fault.startswith(
        "sluice.toml:2: forwarder.dead_letter_window: is too short: 0.1 of it is less than one dead"
    )
    file.load(f"[forwarder]\ndead_letter_window = 10\n{SHOP}")
    file.load(f"[forwarder]\ndead_letter_ratio = 0\n{SHOP}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[gateway]\nport = 9101\n", ":2: gateway.port: port 9101 is admin.port too"),
        ("[gateway]\nport = 7000\n[admin]\nport = 7000\n", ":4: admin.port: port 7000 is gateway.port too"),
        (
            '[gateway]\nhost = "0.0.0.0"\nport = 8081\n[sandbox]\nport = 8081\n',
            ":5: sandbox.port: port 8081 is gateway.port too",
        ),
        ("[sandbox]\nport = 7000\nfault_port = 7000\n", ":3: sandbox.fault_port: port 7000 is sandbox.port too"),
        ("[sandbox]\nport = 9103\n", ":2: sandbox.port: port 9103 is admin.port too"),
        ("[gateway]\nport = 8082\n[sandbox]\n", None),  # an empty table asks for nothing
        ("[gateway]\nport = 8081\n", None),  # no sandbox in sight
        ('[gateway]\nport = 7000\nhost = "10.0.0.1"\n[admin]\nport = 7000\nhost = "10.0.0.2"\n', None),
        ("[gateway]\nport = 0\n[admin]\nport = 0\n", None),
    ],
)
def test_no_two_servers_have_one_port(file: Checked, text: str, told: str | None) -> None:
    if told is None:
        assert file.load(text + SHOP).storefronts[0].name == "acme"
    else:
        assert file.faults(text + SHOP) == [f"sluice.toml{told}; give each a port of its own, or 0 for any"]


def test_the_sandbox_counts_where_a_storefront_delivers_to_it(file: Checked) -> None:
    text = SHOP.replace("https://acme.tolinku.com", "http://localhost:8081")

    assert file.faults(f"[gateway]\nport = 8081\n{text}") == [
        "sluice.toml:2: gateway.port: port 8081 is sandbox.port too; give each a port of its own, or 0 for any"
    ]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('bootstrap_servers = ""', [f"3: broker.bootstrap_servers: {NO_SERVERS}"]),
        ('bootstrap_servers = "a:1, b:x"', [f"3: broker.bootstrap_servers: {NO_SERVERS}"]),
        (
            'security_protocol = "SASL_SSL"\nsasl_plain_username = "u"',
            ["1: broker.sasl_plain_password: is required with SASL_SSL; set it, or another broker.security_protocol"],
        ),
        (
            'sasl_plain_password = "p"',
            [
                ("3: broker.sasl_plain_password: is not used with PLAINTEXT; "
                'set broker.security_protocol to "SASL_SSL", or leave the key out')
            ],
        ),
        (
            'ssl_keyfile = "/nowhere/key"',
            [
                "3: broker.ssl_keyfile: has no certificate; set broker.ssl_certfile too",
                "3: broker.ssl_keyfile: there is no file '/nowhere/key'; put it there, or correct the path",
            ],
        ),
    ],
)  # fmt: skip
def test_how_kafka_is_reached(file: Checked, lines: str, told: list[str]) -> None:
    assert file.faults(f'[broker]\nkind = "kafka"\n{lines}\n{SHOP}') == [f"sluice.toml:{each}" for each in told]


def test_several_servers_and_sasl_are_right(file: Checked) -> None:
    text = (
        '[broker]\nkind = "kafka"\nbootstrap_servers = "a:1, [::1]:2"\nsecurity_protocol = "SASL_PLAINTEXT"\n'
        f'sasl_plain_username = "u"\nsasl_plain_password = "p"\n{SHOP}'
    )

    assert file.load(text).broker.sasl_plain_username == "u"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://", "is no http(s) URL with a host"),
        ("acme.tolinku.com", "is no http(s) URL with a host"),
        ("http://h:99999", "is no http(s) URL with a host"),
        ("http://h:0", "is no http(s) URL with a host"),
        ("http://a b", "is no http(s) URL with a host"),
        ("http://[::1", "is no http(s) URL with a host"),
        ("https://u:p@h", "holds credentials"),
        ("https://h/?a=b", "has a query or a fragment"),
        ("https://h/#", "has a query or a fragment"),
    ],
)
def test_an_ingestion_url_that_is_none(file: Checked, url: str, fault: str) -> None:
    (told,) = file.faults(SHOP.replace("https://acme.tolinku.com", url))

    assert told.startswith(f"sluice.toml:6: storefronts[0].ingestion.url: {fault}; ")


@pytest.mark.parametrize(
    "origin", ["https://shop.example:443", "https://shop.example/x", "HTTPS://shop.example", "null", "https://:1"]
)
def test_an_origin_that_no_browser_sends(file: Checked, origin: str) -> None:
    (told,) = file.faults(
        SHOP.replace("[storefronts.ing", f'origins = ["https://ok.example", "{origin}"]\n[storefronts.ing')
    )

    assert told.startswith("sluice.toml:5: storefronts[0].origins[1]: is no")


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "https://shop.example", "capacitor://localhost", "http://[::1]:80000"[:-1]]
)
def test_an_origin_that_browsers_send(file: Checked, origin: str) -> None:
    text = SHOP.replace("[storefronts.ing", f'origins = ["{origin}"]\n[storefronts.ing')

    assert file.load(text).storefronts[0].origins == [origin]
