"""Publishing to the embedded log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.embedded.chunk import encode_pieces
from broker.embedded.entries import Append
from broker.embedded.pending import Pending
from broker.interface import BrokerError, Full, Publisher, Unavailable, UnknownTopic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.embedded.catalogue import Catalogue
    from broker.embedded.writers import Writers
    from broker.interface import Message
    from runtime.clock import Clock


class EmbeddedPublisher(Publisher):
    """Encodes in the caller's thread and hands over to the file's writer. Construct it in the event loop."""

    def __init__(
        self, catalogue: Catalogue, writers: Writers, clock: Clock, ack_timeout: float, max_pending_bytes: int
    ) -> None:
        self._catalogue = catalogue
        self._writers = writers
        self._clock = clock
        self._max_pending_bytes = max_pending_bytes
        self._loop = asyncio.get_running_loop()
        self._pending = Pending(ack_timeout)
        self._refreshing: asyncio.Task[None] | None = None
        self._closed = False

    def publish(
        self,
        topic: str,
        partition: int,
        messages: Sequence[Message],
        *,
        precious: bool = False,  # noqa: ARG002  # the interface's
    ) -> asyncio.Future[None]:
        """As the interface says. A topic that another process created after this one last looked is unknown at first: the refusal makes
        this process look again.
        """
        if self._closed:
            raise Unavailable("the publisher is closed")
        known = self._catalogue.known(topic)
        if known is None:
            self._look_again()
            raise UnknownTopic(f"there is no topic {topic}")
        if not 0 <= partition < len(known.ids):
            raise UnknownTopic(f"{topic} has {len(known.ids)} partitions, none is number {partition}")
        future: asyncio.Future[None] = self._loop.create_future()
        if not messages:
            future.set_result(None)
            return future
        pieces = encode_pieces(topic, messages, known.max_message_bytes)
        entry = Append(known.ids[partition], pieces, future, self._pending, self._clock.monotonic())
        if self._pending.size + entry.size > self._max_pending_bytes:
            raise Full(f"{self._pending.size} bytes already wait to be written, {self._max_pending_bytes} may")
        writer = self._writers.of(known.file)
        self._pending.add(entry, writer)
        writer.put(entry)
        return future

    def fault(self) -> str | None:
        """As the interface says; the fault of either file."""
        return self._writers.fault()

    async def close(self, timeout: float = 10) -> None:  # noqa: ASYNC109  # the interface's
        """As the interface says."""
        self._closed = True
        if self._refreshing is not None:
            await asyncio.gather(self._refreshing, return_exceptions=True)
        await self._pending.drain(timeout)

    def _look_again(self) -> None:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = self._loop.create_task(self._refresh(), name="look for topics")

    async def _refresh(self) -> None:
        try:
            await self._catalogue.refresh()
        except BrokerError:
            # Whoever publishes again looks again; what is wrong with the file, its writer says.
            return
