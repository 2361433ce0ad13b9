"""From judged events to acknowledged records: what is accepted goes to the storefront's topic, what is refused to `ecommerce.rejected`."""

from __future__ import annotations

import contextlib
import itertools
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import orjson

from broker.interface import BrokerError, Full, RecordTooLarge, SpoolFull
from gateway.errors import Refusal
from gateway.identity import HAVE_OWN_IDS, PLACES, own_id, timestamps
from schemas.cloudevents import CONTENT_TYPE_HEADER, DELETION_TYPE_HEADER, ID, SPECVERSION_HEADER, TIME, TYPE_HEADERS
from schemas.topics import REJECTED, partition_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Message, Publisher
    from gateway.client_address import ClientHeaders
    from gateway.decode import Events, Identified, Refused
    from gateway.storefronts import Storefront
    from runtime.clock import Clock
    from schemas.events import AnyEvent

    Landed: TypeAlias = Callable[[Sequence[int], BaseException | None], None]

FULL_RETRY_SECONDS = 10.0
PRECIOUS = frozenset({"purchase", "refund"})
"""A request with one of these, and all that is in it, may use the room that the spool keeps back."""


class Pending(NamedTuple):
    """A request's records on their way: the types of its events, the publisher's futures, and what was refused at once."""

    storefront: str
    request_id: str
    types: Sequence[str]
    futures: Sequence[asyncio.Future[None]]
    failure: BrokerError | None


class Intake:
    """Publishes a request's events and waits until all of them are on stable storage (G1). `retry_after` says when to come again, in
    seconds, at least those that it is given.
    """

    def __init__(
        self,
        publisher: Publisher,
        rejected_partitions: int,
        retry_after: Callable[[float], int],
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._publisher = publisher
        self._rejected_partitions = rejected_partitions
        self._retry_after = retry_after
        self._now = timestamps(clock)
        self._log = log
        self._spread = itertools.count()

    def hand_over(self, storefront: Storefront, events: Events, request_id: str, client: ClientHeaders = ()) -> Pending:
        """Hand the events, with the headers that say who sent them and in which trace, to the publisher; never waits. What comes back
        holds nothing of them: their many small objects are let go while the processor still has them at hand, and not when the
        acknowledgement comes.
        """
        failure: BrokerError | None = None
        futures: list[asyncio.Future[None]] = []
        good = events.good
        types = good.types
        precious = not PRECIOUS.isdisjoint(types)
        names = map(request_id.encode().__add__, map(PLACES.__getitem__, good.places))
        # Those without a key stay together.
        spread = itertools.repeat(next(self._spread))
        lanes: dict[int, list[Message]] = {}
        for partition, message in self._records(storefront, good.values, good.events, names, spread):
            lane = lanes.get(partition)
            if lane is None:
                lanes[partition] = [message]
            else:
                lane.append(message)
        try:
            for partition, messages in lanes.items():
                if client:
                    messages = [(key, value, [*headers, *client]) for key, value, headers in messages]  # noqa: PLW2901 - the common case copies nothing
                futures.append(self._publisher.publish(storefront.topic, partition, messages, precious=precious))
            if events.refused:
                futures.append(self._reject(storefront, events.refused, request_id, precious=precious))
        except BrokerError as error:
            failure = error
        return Pending(storefront.name, request_id, types, futures, failure)

    def hand_over_singles(
        self,
        storefront: Storefront,
        values: Sequence[bytes],
        events: Sequence[AnyEvent],
        request_ids: Sequence[str],
        landed: Landed,
    ) -> None:
        """Hand over requests of one event each, in as few calls of the publisher as there are partitions; never waits. `landed` is told of
        the requests of each call, by their places, when they are on stable storage, or why they are not; perhaps before this returns.
        """
        names = [request_id.encode() + PLACES[0] for request_id in request_ids]
        calls: dict[tuple[int, bool], tuple[list[int], list[Message]]] = {}
        records = self._records(storefront, values, events, names, self._spread)
        for place, (partition, message) in enumerate(records):
            # What may not use the room that the spool keeps back must not come into it by its company.
            precious = events[place].event_type in PRECIOUS
            call = calls.get((partition, precious))
            if call is None:
                calls[partition, precious] = [place], [message]
            else:
                call[0].append(place)
                call[1].append(message)
        for (partition, precious), (places, messages) in calls.items():
            publish = partial(self._publisher.publish, storefront.topic, partition, precious=precious)
            _publish_singles(publish, places, messages, landed)

    def delete_user(self, storefront: Storefront, user_id: str, request_id: str, more: ClientHeaders = ()) -> Pending:
        """Hand over that a user is to be forgotten, behind all that was accepted of that user (RECORDS §1); never waits."""
        key = user_id.encode()
        partition = partition_of(key, storefront.partitions)
        headers = [
            SPECVERSION_HEADER,
            (ID, request_id.encode() + PLACES[0]),
            storefront.source_header,
            DELETION_TYPE_HEADER,
            (TIME, self._now()),
            CONTENT_TYPE_HEADER,
            *more,
        ]
        message: Message = (key, orjson.dumps({"user_id": user_id}), headers)
        try:
            future = self._publisher.publish(storefront.topic, partition, [message])
        except BrokerError as error:
            return Pending(storefront.name, request_id, (), (), error)
        return Pending(storefront.name, request_id, (), (future,), None)

    async def acknowledged(self, pending: Pending) -> None:
        """Wait until all of it is on stable storage.

        Raises Refusal: OVERLOADED when too much waited already, NOT_DURABLE when the acknowledgement does not come: then nothing is
        claimed, and what was written may arrive though it was not answered as accepted. TOO_LARGE for a record that the topic does
        not take.
        """
        for future in pending.futures:
            with contextlib.suppress(BrokerError):  # the verdict is of all of them
                await future
        refusal = self.verdict(pending)
        if refusal is not None:
            raise refusal

    def verdict(self, pending: Pending) -> Refusal | None:
        """Return why not all of it is on stable storage, as `acknowledged` says it; None when it is. The futures are done."""
        failure = pending.failure
        for future in pending.futures:
            error = future.exception()
            if isinstance(error, BrokerError):
                failure = error
            elif error is not None:
                raise error
        return None if failure is None else self.refusal(failure, pending.storefront, pending.request_id)

    def _records(
        self,
        storefront: Storefront,
        values: Sequence[bytes],
        events: Sequence[AnyEvent | Identified],
        names: Iterable[bytes],
        spread: Iterator[int],
    ) -> Iterator[tuple[int, Message]]:
        """Make the record of each event, and say to which partition it belongs. `names`: their ids, but for those of `HAVE_OWN_IDS`;
        `spread` counts those without a key.
        """
        time = (TIME, self._now())
        partitions = storefront.partitions
        source_header = storefront.source_header
        for value, event, name in zip(values, events, names, strict=True):
            text = event.user_id or event.cart_id or event.transaction_id
            if text:
                key = text.encode()
                partition = partition_of(key, partitions)
            else:
                key = None
                partition = next(spread) % partitions
            kind = event.event_type
            own = own_id(storefront.name, value, event) if kind in HAVE_OWN_IDS else name
            headers = [SPECVERSION_HEADER, (ID, own), source_header, TYPE_HEADERS[kind], time, CONTENT_TYPE_HEADER]
            yield partition, (key, value, headers)

    def _reject(
        self, storefront: Storefront, refused: Iterable[Refused], request_id: str, *, precious: bool
    ) -> asyncio.Future[None]:
        name = storefront.name.encode()
        request = ("client_request", request_id.encode())
        messages: list[Message] = [
            (name, each.value, [("storefront", name), ("reason", each.reason.encode()), request]) for each in refused
        ]
        partition = partition_of(name, self._rejected_partitions)
        return self._publisher.publish(REJECTED, partition, messages, precious=precious)

    def refusal(self, error: BrokerError, storefront: str, request_id: str) -> Refusal:
        """Return how a request is refused whose events are not on stable storage for this reason, and log it."""
        self._log.warning(
            "not durable",
            storefront=storefront,
            request_id=request_id,
            error=type(error).__name__,
            reason=str(error),
        )
        if isinstance(error, RecordTooLarge):
            return Refusal("TOO_LARGE", "event is larger than its topic takes")
        if isinstance(error, SpoolFull):
            return Refusal(
                "SPOOL_FULL",
                "The gateway cannot store more events for now. Please try again later.",
                retry_after=self._retry_after(FULL_RETRY_SECONDS),
            )
        if isinstance(error, Full):
            return Refusal(
                "OVERLOADED", "The gateway is overloaded. Please try again later.", retry_after=self._retry_after(1.0)
            )
        return Refusal(
            "NOT_DURABLE",
            "Events could not be stored durably. Please try again later.",
            retry_after=self._retry_after(1.0),
        )


def _publish_singles(
    publish: Callable[[Sequence[Message]], asyncio.Future[None]],
    places: Sequence[int],
    messages: Sequence[Message],
    landed: Landed,
) -> None:
    try:
        future = publish(messages)
    except RecordTooLarge as error:
        if len(places) == 1:
            landed(places, error)
            return
        # Nothing of the call was taken, and only one of them need be to blame.
        for place, message in zip(places, messages, strict=True):
            _publish_singles(publish, [place], [message], landed)
    except Exception as error:  # noqa: BLE001 - whatever it is, they are told
        landed(places, error)
    else:
        # It holds on to nothing of the messages.
        future.add_done_callback(lambda done: landed(places, done.exception()))
