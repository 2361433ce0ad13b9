"""Requests whose head was understood before, whole and in one piece: carried out without parsing it anew and without a task.

A sender that keeps its connection sends the same head again and again, byte for byte. What aiohttp's parser made of those bytes once,
and the edge judged, holds for them always. So a head is learnt from a request that went the long way and was accepted; what is not
plain is never learnt: a browser, an encoding, an idempotency key, a storefront with a limit. What is wrong with a request of a known
head (a fault in an event, no room) sends it the long way as well, before anything has happened.
Requests of a single event leave together (`gateway.carriage`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from gateway.answer import accepted, refused
from gateway.carriage import Carriage, Passenger
from gateway.decode import is_utf8, plain_event
from gateway.errors import Refusal
from gateway.limits import RECORD_BYTES
from gateway.report import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiohttp import web
    from structlog.typing import FilteringBoundLogger

    from gateway.answer import HttpDate
    from gateway.decode import Events
    from gateway.intake import Intake, Pending
    from gateway.limits import InFlight, Share, Stay
    from gateway.report import Reporter
    from gateway.storefronts import Storefront
    from runtime.clock import Clock

HEADS: Final = 4096
"""How many heads are known at a time: some for each sender, for the length of the body is in them."""
LONGEST_HEAD: Final = 2048
PLAIN: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "host",
        "pragma",
        "sec-fetch-mode",
        "user-agent",
        "x-api-key",
    }
)
"""Headers of which everything is known once the request was accepted. Any other one may mean something."""


class Head(NamedTuple):
    """What a head said: where to, whose and what that one has in flight, how long the body is, and how it is read. None: it is a single
    event, no longer than one may be.
    """

    route: str
    storefront: Storefront
    share: Share
    length: int
    read: Callable[[bytes], Events] | None


class Sender(Protocol):
    """Who waits for an answer."""

    def answered(self, answer: bytes) -> None:
        """Send it, if there is still somebody to send it to."""


class Express:
    """The heads that are known, and how their requests are carried out."""

    def __init__(
        self,
        intake: Intake,
        in_flight: InFlight,
        reporter: Reporter,
        request_ids: Iterator[str],
        date: HttpDate,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self.heads: dict[bytes, Head] = {}
        self.intake = intake
        self.in_flight = in_flight
        self.reporter = reporter
        self.date = date
        self.log = log
        self._loop = asyncio.get_running_loop()
        self._carriages: dict[str, Carriage] = {}
        self._request_ids = request_ids
        self._monotonic = clock.monotonic
        self._open = True

    def learn(self, head: bytes, request: web.BaseRequest, found: Head) -> None:
        """Remember the head of a request that was accepted, if it is plain."""
        if not self._open or len(head) > LONGEST_HEAD or found.storefront.rate is not None:
            return
        if any(name.lower() not in PLAIN for name in request.headers):
            return
        if len(self.heads) >= HEADS:
            self.heads.clear()
        self.heads[head] = found

    def forget(self) -> None:
        """Know nothing any more: keys, limits or storefronts are others now."""
        self.heads.clear()

    def close(self) -> None:
        """Learn nothing again: from now on an answer is the last of its connection."""
        self._open = False
        self.heads.clear()

    def carry_out(self, head: Head, body: bytes, sender: Sender) -> bool:
        """Judge a request's events and hand them over; `sender` is answered when they are durable. False: the request has to go the long
        way, and nothing has happened. Never waits.
        """
        if head.read is None:
            return self._board(head, body, sender)
        storefront = head.storefront
        try:
            stay = self.in_flight.enter(storefront.name)
        except Refusal:
            return False
        try:
            events = head.read(body)
            if events.refused or events.api_key is not None:
                stay.leave()
                return False
            stay.weigh(len(body) + len(events.good.values) * RECORD_BYTES)
            exchange = Exchange(head.route, next(self._request_ids), None, self._monotonic())
            exchange.storefront = storefront.name
            exchange.bytes = len(body)
            pending = self.intake.hand_over(storefront, events, exchange.request_id)
        except Refusal:
            stay.leave()
            return False
        except Exception:
            self.log.exception("request failed", route=head.route)
            stay.leave()
            return False
        _Waiting(self, exchange, pending, stay, sender)
        return True

    def _board(self, head: Head, body: bytes, sender: Sender) -> bool:
        """Take a single event along, if it is good and there is room for it."""
        if not (body.isascii() or is_utf8(body)) or (event := plain_event(body)) is None:
            return False
        if not self.in_flight.admit(head.share, len(body) + RECORD_BYTES):
            return False
        carriages = self._carriages
        carriage = carriages.get(head.storefront.name)
        if carriage is None:
            if not carriages:
                self._loop.call_soon(self._depart)
            carriage = carriages[head.storefront.name] = Carriage(self, head)
        carriage.take(Passenger(sender, body, event, self._monotonic(), next(self._request_ids)))
        return True

    def _depart(self) -> None:
        carriages, self._carriages = self._carriages, {}
        for carriage in carriages.values():
            carriage.depart()


class _Waiting:
    """A batch whose records are on their way."""

    __slots__ = ("_exchange", "_express", "_left", "_pending", "_sender", "_stay")

    def __init__(self, express: Express, exchange: Exchange, pending: Pending, stay: Stay, sender: Sender) -> None:
        self._express = express
        self._exchange = exchange
        self._pending = pending
        self._stay = stay
        self._sender = sender
        self._left = len(pending.futures)
        if not self._left:
            self._finish()
        for future in pending.futures:
            future.add_done_callback(self._one_done)

    def _one_done(self, _future: asyncio.Future[None]) -> None:
        self._left -= 1
        if not self._left:
            self._finish()

    def _finish(self) -> None:
        express, exchange, types = self._express, self._exchange, self._pending.types
        refusal = express.intake.verdict(self._pending)
        if refusal is None:
            self._stay.acknowledged()
            self._stay.leave()
            exchange.accepted = len(types)
            express.reporter.count(exchange.storefront, types, "accepted")
            body = b'{"ok":true,"accepted":%d}' % len(types)
            self._sender.answered(accepted(body, exchange.request_id, express.date()))
            express.reporter.finish(exchange, 200)
            return
        self._stay.leave()
        exchange.code = refusal.code
        express.reporter.count(exchange.storefront, types, "unavailable")
        self._sender.answered(refused(refusal, exchange.request_id, express.date()))
        express.reporter.finish(exchange, refusal.status)
