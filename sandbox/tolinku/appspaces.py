"""Keys and what they open. Each configured storefront is one appspace of the same name, so that events are told apart
by storefront.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from runtime.settings import StorefrontSettings

PUBLISHABLE_PREFIX = "tolk_pub_"


class Key(NamedTuple):
    """What a key opens: a publishable one may send events, only a secret one may also read."""

    appspace: str
    secret: bool


class Appspaces:
    """Every key that is taken: the storefronts' own keys and the keys that Sluice sends with.

    An ingestion key is secret unless it has the prefix of a publishable one. A key that several storefronts send with
    is one appspace at the vendor, too: the first of them in the configuration.
    """

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self._keys = dict(keys)

    @classmethod
    def of(cls, storefronts: Iterable[StorefrontSettings]) -> Self:
        """Return the keys of the configured storefronts."""
        keys: dict[str, Key] = {}
        for storefront in storefronts:
            sends_with = storefront.ingestion.api_key.get_secret_value()
            for key in storefront.secret_keys:
                keys.setdefault(key.get_secret_value(), Key(storefront.name, secret=True))
            for key in storefront.publishable_keys:
                keys.setdefault(key.get_secret_value(), Key(storefront.name, secret=False))
            keys.setdefault(sends_with, Key(storefront.name, secret=not sends_with.startswith(PUBLISHABLE_PREFIX)))
        return cls(keys)

    @property
    def names(self) -> frozenset[str]:
        """The appspaces that some key opens."""
        return frozenset(key.appspace for key in self._keys.values())

    def find(self, headers: Mapping[str, str], body: object) -> Key | None:
        """Return what the caller's key opens: `X-API-Key`, else `Authorization: Bearer`, else `apiKey` in the decoded
        body (beacons cannot set headers). None without a key, and for an unknown one.
        """
        text = headers.get("X-API-Key")
        if text is None:
            scheme, _, credentials = headers.get("Authorization", "").partition(" ")
            text = credentials.strip() if scheme.lower() == "bearer" else None
        if text is None and isinstance(body, dict):
            text = body.get("apiKey")
        return self._keys.get(text) if isinstance(text, str) else None
