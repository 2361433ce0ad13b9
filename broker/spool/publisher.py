"""Kafka's publisher with the spool before it."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from broker.interface import BrokerError, Publisher, Unavailable
from broker.spool.drain import CLOSING_SECONDS
from broker.spool.flags import CLOSING, OPEN, SPOOLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.interface import Message
    from broker.spool.spool import Spool

_LOOK_SECONDS: Final = 0.005


class _Held(NamedTuple):
    """A call for a lane that closes."""

    messages: Sequence[Message]
    precious: bool
    future: asyncio.Future[None]
    until: float


class SpooledPublisher(Publisher):
    """`publisher` is Kafka's, with the spool as its relief: what comes for a lane that is spooled goes there at once."""

    def __init__(self, publisher: Publisher, spool: Spool) -> None:
        self.publish_to(publisher)
        self._spool = spool
        self._state = spool.state
        self._loop = asyncio.get_running_loop()
        self._held: dict[tuple[str, int], deque[_Held]] = {}
        self._look: asyncio.TimerHandle | None = None

    def publish_to(self, publisher: Publisher) -> None:
        """Let `publisher` have what is not spooled, from now on."""
        self._publisher = publisher
        self._publish = publisher.publish

    def publish(
        self, topic: str, partition: int, messages: Sequence[Message], *, precious: bool = False
    ) -> asyncio.Future[None]:
        """As the interface says: on stable storage is also what the spool has on its disk. Raises SpoolFull besides."""
        state = self._state(topic, partition)
        if self._held and (topic, partition) in self._held:
            self._release((topic, partition), state)
        if state == OPEN:
            return self._publish(topic, partition, messages)
        if state == CLOSING:
            return self._hold((topic, partition), messages, precious=precious)
        return self._spool.append(topic, partition, messages, precious=precious)

    def fault(self) -> str | None:
        """As the interface says. While the spool takes what Kafka does not, acknowledgements do come."""
        fault = self._publisher.fault()
        if fault is None or (why_not := self._spool.fault()) is None:
            return None
        return f"{fault}; {why_not}"

    async def close(self, timeout: float = 10) -> None:  # noqa: ASYNC109  # the interface's
        """As the interface says. The spool stays open: it may be given what waits in vain."""
        for lane in list(self._held):
            self._release(lane, SPOOLED)
        await self._publisher.close(timeout)

    def _hold(self, lane: tuple[str, int], messages: Sequence[Message], *, precious: bool) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()
        held = _Held(messages, precious, future, self._loop.time() + CLOSING_SECONDS)
        self._held.setdefault(lane, deque()).append(held)
        if self._look is None:
            self._look = self._loop.call_later(_LOOK_SECONDS, self._look_again)
        return future

    def _look_again(self) -> None:
        for lane in list(self._held):
            self._release(lane, self._state(*lane))
        self._look = self._loop.call_later(_LOOK_SECONDS, self._look_again) if self._held else None

    def _release(self, lane: tuple[str, int], state: int) -> None:
        """Let the calls that are held go where they belong now, in their order. Who drains may have died over it: then to the spool."""
        held = self._held[lane]
        if state == CLOSING and self._loop.time() < held[0].until:
            return
        del self._held[lane]
        for call in held:
            try:
                if state == OPEN:
                    written = self._publish(*lane, call.messages)
                else:
                    written = self._spool.append(*lane, call.messages, precious=call.precious)
            except BrokerError as error:
                if not call.future.done():
                    call.future.set_exception(error)
            else:
                written.add_done_callback(partial(pass_on, to=call.future))


def pass_on(written: asyncio.Future[None], to: asyncio.Future[None]) -> None:
    """Let `to` end as `written` did."""
    if to.done():
        return
    if written.cancelled():
        to.set_exception(Unavailable("given up"))
    elif (error := written.exception()) is not None:
        to.set_exception(error)
    else:
        to.set_result(None)
