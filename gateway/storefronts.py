"""Who sends: the storefronts, their keys and their origins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import Refusal
from schemas.cloudevents import source_header
from schemas.topics import events_topic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.limits import TokenBucket
    from runtime.settings import StorefrontSettings

BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Storefront:
    """A shop as the gateway needs it. `partitions`: its topic's own count, pinned at start; `rate`: its limit, None without one."""

    name: str
    topic: str
    partitions: int
    origins: frozenset[str]
    source_header: tuple[str, bytes]
    rate: TokenBucket | None

    def allows(self, origin: str | None) -> bool:
        """Return whether a page of `origin` may send; None: not a browser."""
        return origin is None or not self.origins or origin in self.origins


class Storefronts:
    """All of them, by key and by origin."""

    def __init__(
        self, settings: Sequence[StorefrontSettings], partitions: Mapping[str, int], rates: Mapping[str, TokenBucket]
    ) -> None:
        self._by_key: dict[str, Storefront] = {}
        self.all: list[Storefront] = []
        for each in settings:
            storefront = Storefront(
                each.name,
                events_topic(each.name),
                partitions[each.name],
                frozenset(each.origins),
                source_header(each.name),
                rates.get(each.name),
            )
            self.all.append(storefront)
            for key in (*each.publishable_keys, *each.secret_keys):
                self._by_key[key.get_secret_value()] = storefront
        self._secret_keys = frozenset(key.get_secret_value() for each in settings for key in each.secret_keys)
        self._any_origin = any(not each.origins for each in self.all)
        self._origins = frozenset(origin for each in self.all for origin in each.origins)

    def of_key(self, key: str | None) -> Storefront:
        """Return whose key it is. Raises Refusal (INVALID_KEY), which never repeats the key."""
        if not key:
            raise Refusal("INVALID_KEY", "API key is required")
        storefront = self._by_key.get(key)
        if storefront is None:
            raise Refusal("INVALID_KEY", "Invalid API key")
        return storefront

    def of_secret_key(self, key: str | None) -> Storefront:
        """Return whose secret key it is. Raises Refusal: INVALID_KEY, SECRET_KEY_REQUIRED for a publishable one."""
        storefront = self.of_key(key)
        if key not in self._secret_keys:
            raise Refusal("SECRET_KEY_REQUIRED", "Secret key required")
        return storefront

    def named(self, key: str | None, origin: str | None) -> Storefront | None:
        """Return the storefront that the key names, else the one that alone lists the origin, else the only one there is; else None."""
        storefront = self._by_key.get(key or "")
        if storefront is not None:
            return storefront
        listing = [each for each in self.all if origin in each.origins]
        candidates = listing or self.all
        return candidates[0] if len(candidates) == 1 else None

    def allow(self, origin: str) -> bool:
        """Return whether any storefront allows the origin: all that a preflight, which carries no key, can be asked."""
        return self._any_origin or origin in self._origins


def header_key(headers: Mapping[str, str]) -> str | None:
    """Return the key that the headers carry (X-API-Key, else a bearer token), or None."""
    key = headers.get("X-API-Key")
    if key:
        return key
    authorization = headers.get("Authorization")
    if authorization and authorization[: len(BEARER)].lower() == BEARER:
        return authorization[len(BEARER) :].strip()
    return None
