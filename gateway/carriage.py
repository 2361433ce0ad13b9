"""Requests of one event each that came to one storefront in the same round of the event loop, carried out together.

Whatever costs as much for one as for many is done once for all of them: the call of the publisher and its future, the count, the
renewal of the date. Each is judged, identified, answered and logged for itself, as if it had come alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from broker.interface import BrokerError, RecordTooLarge, Unavailable
from gateway.answer import accepted_alike, refused
from gateway.errors import Refusal
from gateway.limits import RECORD_BYTES
from gateway.report import Exchange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.express import Express, Head, Sender
    from schemas.events import AnyEvent

_OK = b'{"ok":true}'


class Passenger(NamedTuple):
    """A request that was judged good: whose it is, its event as sent and as read, when it came (monotonic seconds), its id."""

    sender: Sender
    value: bytes
    event: AnyEvent
    started: float
    request_id: str


class _Rider(NamedTuple):
    """What is kept of a passenger on the way."""

    sender: Sender
    event_type: str
    started: float
    bytes: int
    request_id: str


class Carriage:
    """What gathers until the loop's round is over. `head`: any of its passengers', for their route and storefront are one."""

    def __init__(self, express: Express, head: Head) -> None:
        self._express = express
        self._head = head
        self._passengers: list[Passenger] = []
        self._riders: list[_Rider] = []
        self.take = self._passengers.append

    def depart(self) -> None:
        """Hand all of it over. Never waits, and whatever happens each is answered."""
        # Its many small objects are let go while the processor has them at hand, and not when the acknowledgement comes.
        passengers = list(self._passengers)
        self._passengers.clear()
        self._riders = [
            _Rider(each.sender, each.event.event_type, each.started, len(each.value), each.request_id)
            for each in passengers
        ]
        try:
            self._express.intake.hand_over_singles(
                self._head.storefront,
                [each.value for each in passengers],
                [each.event for each in passengers],
                [each.request_id for each in passengers],
                self._landed,
            )
        except Exception as error:  # noqa: BLE001 - a fault of ours, before anything was published: an answer and a log line
            self._landed(range(len(passengers)), error)

    def _landed(self, places: Sequence[int], error: BaseException | None) -> None:
        express, storefront = self._express, self._head.storefront.name
        riders = [self._riders[place] for place in places]
        if error is not None:
            if isinstance(error, RecordTooLarge) and len(riders) > 1:
                # Nobody knew what the topic takes. One of them is to blame, and told so when it comes again.
                error = Unavailable(*error.args)
            for each in riders:
                self._refuse(each, error)
            if not isinstance(error, BrokerError):
                express.log.error("requests failed", route=self._head.route, requests=len(places), exc_info=error)
            return
        answers = accepted_alike(_OK, [each.request_id for each in riders], express.date())
        for each, answer in zip(riders, answers, strict=True):
            each.sender.answered(answer)
        size = sum([each.bytes for each in riders]) + RECORD_BYTES * len(riders)
        express.in_flight.dismiss(self._head.share, len(riders), size, acknowledged=True)
        express.reporter.count(storefront, [each.event_type for each in riders], "accepted")
        express.reporter.finish_singles(self._head.route, storefront, riders)

    def _refuse(self, each: _Rider, error: BaseException) -> None:
        express, head = self._express, self._head
        if isinstance(error, BrokerError):
            refusal = express.intake.refusal(error, head.storefront.name, each.request_id)
        else:
            refusal = Refusal("INTERNAL", "Internal error")
        exchange = Exchange(head.route, each.request_id, None, each.started)
        exchange.storefront = head.storefront.name
        exchange.bytes = each.bytes
        exchange.code = refusal.code
        express.in_flight.dismiss(head.share, 1, each.bytes + RECORD_BYTES, acknowledged=False)
        express.reporter.count(exchange.storefront, [each.event_type], "unavailable")
        each.sender.answered(refused(refusal, each.request_id, express.date()))
        express.reporter.finish(exchange, refusal.status)
