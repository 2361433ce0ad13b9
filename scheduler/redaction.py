"""Secrets taken out of what vendors say, who like to repeat them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.settings import AccountSettings

HIDDEN: Final = "[secret]"
_SHORTEST: Final = 4
"""What is shorter guards nothing, and would turn up in every other word."""


def secrets_of(account: AccountSettings) -> list[str]:
    """Return what the configuration keeps secret of an account."""
    configured = (account.api_key, account.client_secret, account.password)
    return [secret.get_secret_value() for secret in configured if secret is not None]


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Return `text` without the secrets, nor the beginning of one at its end, where it may have been cut."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) < _SHORTEST:
            continue
        text = text.replace(secret, HIDDEN)
        end = text.rstrip("…")
        for length in range(len(secret) - 1, _SHORTEST - 1, -1):
            if end.endswith(secret[:length]):
                text = end[:-length] + HIDDEN
                break
    return text
