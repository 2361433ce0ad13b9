from __future__ import annotations

import pytest
from pydantic import SecretStr

from runtime.settings import AccountSettings
from scheduler.redaction import redacted, secrets_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key s3cret-key is bad", "key [secret] is bad"),
        ("s3cret-key,s3cret-key", "[secret],[secret]"),
        ("key s3cret-…", "key [secret]…"),
        ("key s3c…", "key s3c…"),
        ("key s3cret-", "key s3cret-"),
        ("s3cret-key-long", "[secret]"),
        ("ab", "ab"),
    ],
)
def test_secrets_are_taken_out_also_those_that_were_cut(text: str, shown: str) -> None:
    assert redacted(text, ["s3cret-key", "s3cret-key-long", "ab", ""]) == shown


def test_secrets_are_known_however_they_are_spelt() -> None:
    secret = 'a "key" / ü'
    as_json, in_a_url = r'{"key":"a \"key\" / ü"}', "?key=a%20%22key%22%20%2F%20%C3%BC"
    assert redacted(as_json, [secret]) == '{"key":"[secret]"}'
    assert redacted(in_a_url, [secret]) == "?key=[secret]"


def test_what_the_configuration_keeps_secret() -> None:
    account = AccountSettings(
        name="a",
        source="websale",
        url="http://x",
        login="me",
        password=SecretStr("pass"),
        client_secret=SecretStr("hush"),
    )
    assert secrets_of(account) == ["hush", "pass"]
