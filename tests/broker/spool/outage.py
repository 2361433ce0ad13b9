"""A log that goes away, and the spool before it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.interface import NotAcknowledged, Publisher
from broker.spool.flags import OPEN
from broker.spool.publisher import SpooledPublisher
from broker.spool.spool import Spool
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from tests.broker.backend import quiet_log

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from broker.interface import Broker, Message

TOPIC = "ecommerce.events.demo"


class Fickle(Publisher):
    """Publishes, but to the topics that are `away`: what comes for those fails. A publisher of our own for a fault that a Kafka has only
    as a whole.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.away: Collection[str] = ()
        self.failed = 0

    def publish(
        self, topic: str, partition: int, messages: Sequence[Message], *, precious: bool = False
    ) -> asyncio.Future[None]:
        if topic not in self.away:
            return self._publisher.publish(topic, partition, messages, precious=precious)
        self.failed += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_exception(NotAcknowledged("it is away"))
        return future

    def fault(self) -> str | None:
        return "it is away" if self.away else None

    async def close(self, timeout: float = 10) -> None:  # noqa: ASYNC109  # the interface's
        await self._publisher.close(timeout)


class Gateway:
    """What a gateway's process has of it. Life: `start` → … → `stop`."""

    def __init__(self, broker: Broker, path: Path, max_bytes: int = 1 << 30) -> None:
        self.metrics = Metrics()
        self.spool = Spool(str(path), max_bytes, self.metrics, quiet_log(), SystemClock())
        self._broker = broker

    async def start(self, *topics: str, away: Collection[str] = ()) -> Gateway:
        self.log = Fickle(await self._broker.publisher())
        self.log.away = away
        await self.spool.start({topic: await self._broker.partitions(topic) for topic in topics or (TOPIC,)})
        await self.spool.drain_into(self.log)
        self.publisher = SpooledPublisher(self.log, self.spool)
        return self

    async def stop(self) -> None:
        await self.spool.close()
        await self.log.close()

    async def publish(self, messages: Sequence[Message], partition: int = 0, topic: str = TOPIC) -> None:
        await self.publisher.publish(topic, partition, messages)

    def spools(self, topic: str = TOPIC, partition: int = 0) -> bool:
        """Whether what comes goes behind something."""
        return self.spool.state(topic, partition) != OPEN

    def strand(self, partition: int = 0, topic: str = TOPIC) -> None:
        """Let the spool take over a partition, as Kafka's publisher would."""
        self.spool.relieve(topic, partition, [], "it is away")
