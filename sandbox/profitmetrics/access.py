"""Who may read what: API keys, their scope, and the sites that each may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import hdrs

from sandbox.profitmetrics.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sandbox.profitmetrics.switches import Site, Switches

KEY_HEADER: Final = "X-ProfitMetrics-Action-KEY"


class Access:
    """The keys that are taken: each with the sites that it may read, None for all that there are."""

    def __init__(self, keys: Mapping[str, Collection[int] | None]) -> None:
        self._keys = {key: None if sites is None else frozenset(sites) for key, sites in keys.items()}

    def check(self, headers: Mapping[str, str], switches: Switches) -> str:
        """Return the caller's key. Raises Refused: 401 without a good one, 403 for one without METRICS_READ, and for
        other credentials in its place.
        """
        key = headers.get(KEY_HEADER)
        if key is None and (hdrs.AUTHORIZATION in headers or hdrs.COOKIE in headers):
            raise Refused(403, "INVALID_AUTHENTICATION_TYPE", "the credentials are no API key")
        if key is None or key not in self._keys or key in switches.revoked_keys:
            raise Refused(401, None, "the key is missing or unknown")
        if key in switches.unscoped_keys:
            raise Refused(403, None, "the key lacks METRICS_READ")
        return key

    def readable(self, key: str, switches: Switches) -> dict[int, Site]:
        """Return the sites that a key may read, by CSID."""
        own = self._keys[key]
        forbidden = switches.forbidden_sites.get(key, frozenset())
        return {
            number: site
            for number, site in switches.sites.items()
            if (own is None or number in own) and number not in forbidden
        }
