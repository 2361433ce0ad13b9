"""Requests of one event each that came to one storefront in the same round of the event loop, carried out together.

Whatever costs as much for one as for many is done once for all of them: the call of the publisher and its future, the count, the
renewal of the date. Each is judged, identified, answered and logged for itself, as if it had come alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from broker.interface import BrokerError
from gateway.answer import accepted, refused
from gateway.errors import Refusal
from gateway.limits import RECORD_BYTES
from gateway.report import Carried, Exchange

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


class Carriage:
    """What gathers until the loop's round is over. `head`: any of its passengers', for their route and storefront are one."""

    def __init__(self, express: Express, head: Head) -> None:
        self._express = express
        self._head = head
        self._passengers: list[Passenger] = []
        self.take = self._passengers.append

    def depart(self) -> None:
        """Hand all of it over. Never waits, and whatever happens each is answered."""
        express, passengers = self._express, self._passengers
        try:
            express.intake.hand_over_singles(
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
        passengers = [self._passengers[place] for place in places]
        if error is not None:
            for each in passengers:
                self._refuse(each, error)
            if not isinstance(error, BrokerError):
                express.log.error("requests failed", route=self._head.route, requests=len(places), exc_info=error)
            return
        date = express.date()
        for each in passengers:
            each.sender.answered(accepted(_OK, each.request_id, date))
        size = sum([len(each.value) for each in passengers]) + RECORD_BYTES * len(passengers)
        express.in_flight.dismiss(self._head.share, len(passengers), size, acknowledged=True)
        express.reporter.count(storefront, [each.event.event_type for each in passengers], "accepted")
        told = [Carried(each.started, len(each.value), each.request_id) for each in passengers]
        express.reporter.finish_singles(self._head.route, storefront, told)

    def _refuse(self, each: Passenger, error: BaseException) -> None:
        express, head = self._express, self._head
        if isinstance(error, BrokerError):
            refusal = express.intake.refusal(error, head.storefront.name, each.request_id)
        else:
            refusal = Refusal("INTERNAL", "Internal error")
        exchange = Exchange(head.route, each.request_id, None, each.started)
        exchange.storefront = head.storefront.name
        exchange.bytes = len(each.value)
        exchange.code = refusal.code
        express.in_flight.dismiss(head.share, 1, len(each.value) + RECORD_BYTES, acknowledged=False)
        express.reporter.count(exchange.storefront, [each.event.event_type], "unavailable")
        each.sender.answered(refused(refusal, each.request_id, express.date()))
        express.reporter.finish(exchange, refusal.status)
