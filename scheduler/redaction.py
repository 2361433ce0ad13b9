"""Secrets taken out of what vendors say, who like to repeat them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.settings import AccountSettings

HIDDEN: Final = "[secret]"
_CUT: Final = "…"
_SHORTEST: Final = 4
"""What is shorter guards nothing, and would turn up in every other word."""


def secrets_of(account: AccountSettings) -> list[str]:
    """Return what the configuration keeps secret of an account."""
    configured = (account.api_key, account.client_secret, account.password)
    return [secret.get_secret_value() for secret in configured if secret is not None]


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Return `text` without the secrets, also as JSON and URLs write them. Where "…" says that it was cut, what may be the beginning
    of one goes, too.
    """
    spelt = {
        each for secret in secrets for each in (secret, orjson.dumps(secret).decode()[1:-1], quote(secret, safe=""))
    }
    for secret in sorted(spelt, key=len, reverse=True):
        if len(secret) < _SHORTEST:
            continue
        text = text.replace(secret, HIDDEN)
        if text.endswith(_CUT):
            text = _without_beginning(text.removesuffix(_CUT), secret) + _CUT
    return text


def _without_beginning(text: str, secret: str) -> str:
    for length in range(len(secret) - 1, _SHORTEST - 1, -1):
        if text.endswith(secret[:length]):
            return text[:-length] + HIDDEN
    return text
