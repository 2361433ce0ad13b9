"""What the gateway does not answer itself: passed through to the ingestion API of the storefront that it is for (DESIGN §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from gateway.body import read_raw
from gateway.errors import Refusal
from gateway.hop import CREDENTIALS, request_headers
from gateway.storefronts import header_key
from gateway.upstream import Limits, Outgoing, Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web
    from structlog.typing import FilteringBoundLogger

    from gateway.limits import InFlight
    from gateway.report import Exchange
    from gateway.routes import Place
    from gateway.storefronts import Storefront, Storefronts
    from runtime.settings import StorefrontSettings

QUERY_METHODS: Final = ("GET",)
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD"})
_OWN: Final = CREDENTIALS | {"origin", "referer"}
"""What stays behind where we ask in our own name: the page is no party to that."""


class _Keyed(msgspec.Struct):
    api_key: str | None = msgspec.field(name="apiKey", default=None)


_decode_key = msgspec.json.Decoder(_Keyed).decode


class Passage:
    """Passes requests through, streamed, with what the storefront's upstream allows at once.

    A request's body is read first (bounded, counted in `in_flight`): a sender that is slow holds no place at the upstream.
    Life: `query` and `other` …, `retire` or `close`.
    """

    def __init__(
        self,
        settings: Sequence[StorefrontSettings],
        storefronts: Storefronts,
        in_flight: InFlight,
        log: FilteringBoundLogger,
        *,
        max_body_bytes: int,
        limits: Limits | None = None,
    ) -> None:
        self._storefronts = storefronts
        self._in_flight = in_flight
        self._max_body_bytes = max_body_bytes
        limits = limits or Limits()
        self._upstreams = {each.name: Upstream(each.name, each.ingestion.url, limits, log) for each in settings}
        self._keys = {each.name: each.ingestion.api_key for each in settings}

    async def close(self) -> None:
        """Close every connection to an upstream. Idempotent."""
        for upstream in self._upstreams.values():
            await upstream.close()

    async def retire(self) -> None:
        """Close every connection to an upstream as soon as what is under way there has ended; it is not waited for."""
        for upstream in self._upstreams.values():
            await upstream.retire()

    async def query(
        self, request: web.BaseRequest, exchange: Exchange, place: Place, ours: Mapping[str, str], *, last: bool
    ) -> web.StreamResponse:
        """Ask one of the seed's query endpoints, in the storefront's name: who has one of its secret keys may.

        `ours`: headers that the answer gets; `last`: the sender's connection ends with it. Raises Refusal: METHOD_NOT_ALLOWED,
        INVALID_KEY, SECRET_KEY_REQUIRED, ORIGIN_NOT_ALLOWED, and as `Upstream.pass_on`.
        """
        _require(request, QUERY_METHODS)
        storefront = self._storefronts.of_secret_key(header_key(request.headers))
        _admit(storefront, exchange)
        headers = request_headers(request, without=_OWN)
        headers["X-API-Key"] = self._keys[storefront.name].get_secret_value()
        outgoing = Outgoing(request.method, place.path, request.rel_url.raw_query_string, headers, None)
        return await self._upstreams[storefront.name].pass_on(request, outgoing, ours, last=last)

    async def other(
        self, request: web.BaseRequest, exchange: Exchange, place: Place, ours: Mapping[str, str], *, last: bool
    ) -> web.StreamResponse:
        """Pass on what is for another part of the vendor's API, with the caller's own credentials and never ours.

        It goes to the storefront that the key names, else the origin, else to the only one. Raises Refusal: METHOD_NOT_ALLOWED,
        NOT_FOUND when no storefront is named, ORIGIN_NOT_ALLOWED, TOO_LARGE, BAD_REQUEST, and as `Upstream.pass_on`.
        """
        _require(request, METHODS)
        key = header_key(request.headers)
        if key is not None:
            self._admit_named(key, exchange)
        stay = self._in_flight.enter(exchange.storefront)
        try:
            body = await read_raw(request, self._max_body_bytes, stay)
            size = len(body or b"")
            exchange.bytes = size
            if key is None:
                self._admit_named(_body_key(body), exchange)
                stay.belongs_to(exchange.storefront)
            stay.weigh(size)
            if body is None and request.method not in _WITHOUT_BODY:
                body = b""
            headers = request_headers(request)
            outgoing = Outgoing(request.method, place.path, request.rel_url.raw_query_string, headers, body)
            return await self._upstreams[exchange.storefront].pass_on(request, outgoing, ours, last=last)
        finally:
            stay.leave()

    def _admit_named(self, key: str | None, exchange: Exchange) -> None:
        storefront = self._storefronts.named(key, exchange.origin)
        if storefront is None:
            raise Refusal("NOT_FOUND", "Not found")
        _admit(storefront, exchange)


def _admit(storefront: Storefront, exchange: Exchange) -> None:
    exchange.storefront = storefront.name
    if not storefront.allows(exchange.origin):
        raise Refusal("ORIGIN_NOT_ALLOWED", "Origin is not allowed")


def _require(request: web.BaseRequest, methods: Sequence[str]) -> None:
    if request.method not in methods:
        raise Refusal("METHOD_NOT_ALLOWED", "Method not allowed", allow=", ".join([*methods, "OPTIONS"]))


def _body_key(body: bytes | None) -> str | None:
    """Return the key that a beacon carries in its body, None when there is none to be read."""
    if not body or not body.lstrip().startswith(b"{"):
        return None
    try:
        return _decode_key(body).api_key
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # It is the vendor's to judge what is wrong with the rest.
        return None
