"""The HTTP edge: the Ecommerce API of seed 003 as storefronts speak it, from a request to the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import orjson
from aiohttp import web
from aiohttp.hdrs import TRANSFER_ENCODING

from gateway import cors, decode
from gateway.answer import Answer, HttpDate
from gateway.body import check_frame, read_body
from gateway.client_address import client_headers
from gateway.errors import Refusal
from gateway.express import Express, Head
from gateway.identity import repeated_request_id, request_ids
from gateway.limits import RECORD_BYTES
from gateway.rate_headers import rate_headers, rate_lines
from gateway.report import Exchange
from gateway.routes import BATCH, TRACK, place_of, user_of
from gateway.storefronts import header_key
from gateway.trace_context import trace_headers
from runtime.metrics import UNKNOWN_EVENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from structlog.typing import FilteringBoundLogger

    from gateway.decode import Events
    from gateway.intake import Intake, Pending
    from gateway.limits import InFlight, Stay
    from gateway.passage import Passage
    from gateway.report import Reporter, Result
    from gateway.routes import Place
    from gateway.server import Protocol
    from gateway.storefronts import Storefront, Storefronts
    from runtime.clock import Clock
    from runtime.settings import GatewaySettings

OTHER = "other"
PASSED_ON = frozenset({"query", "passage", "user", OTHER})
"""Routes on which no events come."""
JSON = "application/json"

Body: TypeAlias = bytes
_OK: Body = b'{"ok":true}'


class Fault(NamedTuple):
    """What is told of an event that was refused."""

    place: int
    reason: str
    event_type: str
    too_large: bool


class Handed(NamedTuple):
    """A request whose events are on their way: the types of the accepted ones, the faults of the others."""

    pending: Pending
    accepted: list[str]
    faults: list[Fault]


class Edge:
    """Answers requests: an aiohttp low-level handler. Everything that it needs is handed to it."""

    def __init__(
        self,
        settings: GatewaySettings,
        storefronts: Storefronts,
        intake: Intake,
        passage: Passage,
        in_flight: InFlight,
        reporter: Reporter,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._settings = settings
        self._storefronts = storefronts
        self._intake = intake
        self._passage = passage
        self._in_flight = in_flight
        self._reporter = reporter
        self._monotonic = clock.monotonic
        self._log = log
        self._request_ids = request_ids()
        self._date = HttpDate()
        self._client = client_headers(settings.record_client)
        self._records_nobody = settings.record_client == "none"
        self.express = Express(intake, in_flight, reporter, self._request_ids, self._date, clock, log)
        self._routes: Mapping[str, tuple[str, Callable[[web.BaseRequest, Exchange], Awaitable[Body]]]] = {
            TRACK: ("track", self._track),
            BATCH: ("batch", self._batch),
        }
        self.draining = False
        """Whether the gateway ends: answers then close their connection."""

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. Never raises but for what ends the connection itself."""
        route, handler = self._routes.get(request.rel_url.raw_path, (OTHER, None))
        exchange = Exchange(route, next(self._request_ids), request.headers.get("Origin"), self._monotonic())
        refusal: Refusal | None = None
        body: Body = b""
        try:
            if TRANSFER_ENCODING in request.headers:
                check_frame(request)
            if handler is None:
                place = place_of(request.rel_url.raw_path)
                exchange.route = place.route
                handler = self._routes.get(place.path, (OTHER, None))[1]
                if handler is None and request.method != "OPTIONS":
                    return await self._pass_on(request, exchange, place)
            if handler is None or request.method == "OPTIONS":
                return self._preflight(request, exchange)
            if request.method != "POST":
                raise Refusal("METHOD_NOT_ALLOWED", "Method not allowed", allow="POST, OPTIONS")
            body = await handler(request, exchange)
        except Refusal as error:
            refusal = error
        except Exception:  # noqa: BLE001 - a fault of ours becomes an answer and a log line, never a broken connection
            self._log.exception("request failed", route=route, request_id=exchange.request_id)
            refusal = Refusal("INTERNAL", "Internal error")
        head = cast("Protocol", request.protocol).at_boundary(request.content_length)
        if refusal is None and exchange.origin is None and not self.draining and Answer.suits(request):
            if head is not None and exchange.sender is not None and self._records_nobody:
                self._learn(head, request, exchange)
            self._reporter.finish(exchange, 200)
            limits = b"" if exchange.rate is None else rate_lines(exchange.rate)
            return Answer(body, exchange.request_id, self._date(), limits)
        return self._answer(exchange, body, refusal)

    def _learn(self, head: bytes, request: web.BaseRequest, exchange: Exchange) -> None:
        assert exchange.sender is not None  # noqa: S101 - whose head is not known is not learnt
        if not any(each is exchange.sender for each in self._storefronts.all):
            # Another configuration came while it was under way, and its key may be gone.
            return
        single = exchange.route == "track"
        if single and exchange.bytes > self._settings.max_event_bytes:
            return
        share = self._in_flight.share(exchange.storefront)
        found = Head(exchange.route, exchange.sender, share, exchange.bytes, None if single else self._read_batch)
        self.express.learn(head, request, found)

    def told(self, refusal: Refusal) -> None:
        """Report what the server refused before there was a request to hand on."""
        exchange = Exchange(OTHER, next(self._request_ids), None, self._monotonic())
        exchange.code = refusal.code
        self._reporter.finish(exchange, refusal.status)

    def drain(self) -> None:
        """Let every answer close its connection from now on."""
        self.draining = True
        self.express.close()

    async def use(
        self, settings: GatewaySettings, storefronts: Storefronts, passage: Passage, intake: Intake | None = None
    ) -> None:
        """Answer by these from the next request on. What is under way ends by what it was judged by until now, and where it was to go."""
        before, self._passage = self._passage, passage
        if intake is not None:
            self._intake = self.express.intake = intake
        self._settings = settings
        self._storefronts = storefronts
        self._client = client_headers(settings.record_client)
        self._records_nobody = settings.record_client == "none"
        self.express.forget()
        await before.retire()

    async def close(self) -> None:
        """Close what leads on from here, after the last request."""
        await self._passage.close()

    async def _pass_on(self, request: web.BaseRequest, exchange: Exchange, place: Place) -> web.StreamResponse:
        if place.route == "query":
            pass_on = self._passage.query
        elif place.route == "passage":
            pass_on = self._passage.other
        elif place.route == "user":
            return self._answer(exchange, await self._delete_user(request, exchange, place), None)
        else:
            raise Refusal("NOT_FOUND", "Not found")
        response = await pass_on(request, exchange, place, self._headers(exchange), last=self.draining)
        self._reporter.finish(exchange, response.status)
        return response

    async def _delete_user(self, request: web.BaseRequest, exchange: Exchange, place: Place) -> Body:
        """`DELETE …/user/{id}`: answered once it is durable, carried out by the forwarder behind the user's events."""
        if request.method != "DELETE":
            raise Refusal("METHOD_NOT_ALLOWED", "Method not allowed", allow="DELETE, OPTIONS")
        key = header_key(request.headers)
        storefront = self._identify(key, exchange)
        self._storefronts.of_secret_key(key)
        user_id = user_of(place)
        if storefront.rate is not None:
            storefront.rate.take(1)
        stay = self._in_flight.enter(storefront.name)
        try:
            more = trace_headers(request.headers)
            await self._intake.acknowledged(self._intake.delete_user(storefront, user_id, exchange.request_id, more))
        finally:
            stay.leave()
        return orjson.dumps({"ok": True, "deleted_user_id": user_id})

    async def _track(self, request: web.BaseRequest, exchange: Exchange) -> Body:
        """`POST …/track`: one event. Its fault is the whole answer: 400."""
        handed = await self._take(request, exchange, self._read_track)
        for fault in handed.faults:
            raise Refusal("TOO_LARGE" if fault.too_large else "INVALID_EVENT", fault.reason)
        return _OK

    async def _batch(self, request: web.BaseRequest, exchange: Exchange) -> Body:
        """`POST …/batch`: up to `max_batch_events` events, each judged for itself."""
        handed = await self._take(request, exchange, self._read_batch)
        if not handed.faults:
            return b'{"ok":true,"accepted":%d}' % len(handed.accepted)
        errors = [f"events[{fault.place}]: {fault.reason}" for fault in handed.faults]
        return orjson.dumps({"ok": True, "accepted": len(handed.accepted), "errors": errors})

    def _read_track(self, body: bytes) -> Events:
        return decode.track(body, max_event_bytes=self._settings.max_event_bytes)

    def _read_batch(self, body: bytes) -> Events:
        settings = self._settings
        return decode.batch(body, max_events=settings.max_batch_events, max_event_bytes=settings.max_event_bytes)

    async def _take(self, request: web.BaseRequest, exchange: Exchange, read: Callable[[bytes], Events]) -> Handed:
        """Read a request's events, publish them, wait until they are durable, and count what became of them."""
        # With the storefront that it belongs to, whose partitions may be others by the time the body is there.
        intake = self._intake
        key = header_key(request.headers)
        if key is not None:
            exchange.sender = self._identify(key, exchange)
        stay = self._in_flight.enter(exchange.storefront)
        try:
            body = await read_body(request, self._settings.max_body_bytes, stay)
            exchange.bytes = len(body)
            handed = self._hand_over(request, exchange, read(body), body, stay, intake)
            del body
            try:
                await intake.acknowledged(handed.pending)
            except Refusal:
                self._count_all(exchange.storefront, handed.accepted, handed.faults, "unavailable")
                raise
            stay.acknowledged()
        finally:
            stay.leave()
        exchange.accepted = len(handed.accepted)
        exchange.refused = len(handed.faults)
        self._reporter.count(exchange.storefront, handed.accepted, "accepted")
        if handed.faults:
            self._reporter.count(exchange.storefront, [fault.event_type for fault in handed.faults], "refused")
        return handed

    def _hand_over(
        self, request: web.BaseRequest, exchange: Exchange, events: Events, body: bytes, stay: Stay, intake: Intake
    ) -> Handed:
        storefront = exchange.sender
        if storefront is None:
            storefront = self._identify(events.api_key, exchange)
            stay.belongs_to(storefront.name)
        accepted = events.good.types
        faults = [Fault(each.place, each.reason, each.event_type, each.value is None) for each in events.refused]
        number = len(accepted) + len(faults)
        try:
            stay.weigh(len(body) + number * RECORD_BYTES)
        except Refusal:
            self._count_all(storefront.name, accepted, faults, "unavailable")
            raise
        if storefront.rate is not None:
            try:
                storefront.rate.take(number)
            except Refusal:
                self._count_all(storefront.name, accepted, faults, "rate_limited")
                raise
        request_id = exchange.request_id
        idempotency_key = request.headers.get("Idempotency-Key")
        if idempotency_key is not None:
            request_id = repeated_request_id(storefront.name, idempotency_key, body)
        more = self._client(request) + trace_headers(request.headers)
        pending = intake.hand_over(storefront, events, request_id, more)
        return Handed(pending, accepted, faults)

    def _identify(self, key: str | None, exchange: Exchange) -> Storefront:
        storefront = self._storefronts.of_key(key)
        exchange.storefront = storefront.name
        exchange.rate = storefront.rate
        if not storefront.allows(exchange.origin):
            raise Refusal("ORIGIN_NOT_ALLOWED", "Origin is not allowed")
        return storefront

    def _preflight(self, request: web.BaseRequest, exchange: Exchange) -> web.Response:
        origin = exchange.origin
        passed = None
        if exchange.route == "passage":
            passed = request.headers.get("Access-Control-Request-Headers", "")
        exchange.route = "preflight"
        if origin is None or not self._storefronts.allow(origin):
            return self._answer(exchange, b"", Refusal("ORIGIN_NOT_ALLOWED", "Origin is not allowed"))
        self._reporter.finish(exchange, 204)
        return web.Response(status=204, headers=cors.preflight_headers(origin, passed))

    def _answer(self, exchange: Exchange, body: Body, refusal: Refusal | None) -> web.Response:
        status = 200
        headers = {"Content-Type": JSON}
        if refusal is not None:
            status = refusal.status
            exchange.code = refusal.code
            body = orjson.dumps({"error": refusal.message, "code": refusal.code})
            if refusal.retry_after is not None:
                headers["Retry-After"] = str(refusal.retry_after)
            if refusal.allow is not None:
                headers["Allow"] = refusal.allow
            if not exchange.accepted and not exchange.refused:
                self._count_unidentified(exchange, refusal)
        headers.update(self._headers(exchange))
        if exchange.rate is not None:
            headers.update(rate_headers(exchange.rate))
        response = web.Response(status=status, body=body, headers=headers)
        if self.draining or (refusal is not None and refusal.closes):
            response.force_close()
        self._reporter.finish(exchange, status)
        return response

    def _headers(self, exchange: Exchange) -> dict[str, str]:
        """Return the headers that any answer gets."""
        headers = {"X-Request-Id": exchange.request_id}
        origin = exchange.origin
        if origin is not None and self._storefronts.allow(origin) and exchange.code != "ORIGIN_NOT_ALLOWED":
            headers.update(cors.answer_headers(origin))
        return headers

    def _count_all(self, storefront: str, accepted: list[str], faults: list[Fault], result: Result) -> None:
        self._reporter.count(storefront, accepted + [fault.event_type for fault in faults], result)

    def _count_unidentified(self, exchange: Exchange, refusal: Refusal) -> None:
        """Count a request refused as a whole as one refused event of unknown type, so that attempts show beside failures."""
        if exchange.route in PASSED_ON:
            return
        if refusal.status < 500 and refusal.code not in ("RATE_LIMITED", "NOT_FOUND", "METHOD_NOT_ALLOWED"):  # noqa: PLR2004 - server errors were counted by their events
            self._reporter.count(exchange.storefront, (UNKNOWN_EVENT_TYPE,), "refused")
