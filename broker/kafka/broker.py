"""The log on Apache Kafka."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from broker.interface import (
    Broker,
    Commit,
    LogRange,
    Publisher,
    RebalanceListener,
    Record,
    Relief,
    Subscription,
    TopicDifference,
    TopicPartition,
    TransactionalPublisher,
    UnknownTopic,
)
from broker.kafka import reader
from broker.kafka.admin import Admin
from broker.kafka.catalogue import Catalogue
from broker.kafka.client_log import ClientLog
from broker.kafka.connection import Connection
from broker.kafka.producers import Producers
from broker.kafka.publisher import KafkaPublisher
from broker.kafka.subscription import KafkaSubscription
from broker.kafka.topics import Topics
from broker.kafka.transactional import KafkaTransactionalPublisher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

    from structlog.typing import FilteringBoundLogger

    from runtime.clock import Clock
    from runtime.metrics import Metrics
    from runtime.settings import BrokerSettings
    from schemas.topics import TopicSpec

_CLOSE_SECONDS = 5.0


class KafkaBroker(Broker):
    """See `broker.interface.Broker`. `start` may be tried again after it failed."""

    def __init__(self, settings: BrokerSettings, metrics: Metrics, log: FilteringBoundLogger, clock: Clock) -> None:
        self._settings = settings
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._connection = Connection(settings)
        self._admin = Admin(self._connection, clock)
        self._catalogue = Catalogue(self._admin)
        self._topics = Topics(self._admin, self._catalogue, settings, clock)
        self._client_log = ClientLog(log, clock)
        self._publishers: list[KafkaPublisher] = []
        self._transactionals: list[KafkaTransactionalPublisher] = []
        self._subscriptions: list[KafkaSubscription] = []

    async def start(self) -> None:
        """Connect; see the interface."""
        self._client_log.attach()
        await self._admin.start()

    async def close(self) -> None:
        """Free everything; see the interface. Takes seconds at most, whether Kafka is there or not."""
        await asyncio.gather(
            *(subscription.close() for subscription in self._subscriptions),
            *(publisher.close(_CLOSE_SECONDS) for publisher in self._publishers),
            *(transactional.close() for transactional in self._transactionals),
        )
        await self._admin.close()
        self._client_log.detach()

    async def ensure_topics(self, specs: Sequence[TopicSpec], *, create: bool = True) -> list[TopicDifference]:
        """Make sure of topics; see the interface. Raises Unavailable."""
        return await self._topics.ensure(specs, create=create)

    async def identity(self) -> str:
        """Return the cluster's id; see the interface."""
        return await self._admin.cluster_id()

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; see the interface. What a publisher must know of the topic is known from then on."""
        self._catalogue.forget(topic)
        return (await self._catalogue.load(topic)).partitions

    async def publisher(
        self, *, ack_timeout: float = 10, max_pending_bytes: int = 64 * 1024 * 1024, relief: Relief | None = None
    ) -> Publisher:
        """Return a started publisher; see the interface. Raises Unavailable."""
        producers = Producers(self._connection, self._log)
        await producers.start()
        publisher = KafkaPublisher(
            producers,
            self._catalogue,
            self._metrics,
            self._log,
            self._clock,
            servers=self._connection.servers,
            ack_timeout=ack_timeout,
            max_pending_bytes=max_pending_bytes,
            relief=relief,
        )
        self._publishers.append(publisher)
        return publisher

    async def transactional(self, transactional_id: str) -> TransactionalPublisher:
        """Return the started owner of an id; see the interface. Raises Unavailable."""
        transactional = KafkaTransactionalPublisher(self._connection, self._catalogue, self._clock, transactional_id)
        await transactional.start()
        self._transactionals.append(transactional)
        return transactional

    async def subscribe(
        self, group: str, topics: Sequence[str], listener: RebalanceListener, *, instance: str | None = None
    ) -> Subscription:
        """Join a group, which goes on while the member polls; see the interface. Raises UnknownTopic, Unavailable."""
        subscription = KafkaSubscription(
            self._connection,
            self._admin,
            self._log,
            self._clock,
            group=group,
            topics=topics,
            partitions=len(await self._all(topics)),
            listener=listener,
            instance=instance,
        )
        await subscription.join()
        self._subscriptions.append(subscription)
        return subscription

    async def read(
        self,
        topic: str,
        *,
        partition: int | None = None,
        start: int = 0,
        from_beginning: bool = True,
        follow: bool = False,
    ) -> AsyncGenerator[Record]:
        """Read outside of any group; see the interface."""
        found = [each.partition for each in await self._all([topic])]
        if partition is not None and partition not in found:
            raise UnknownTopic(f"topic {topic} has no partition {partition}")
        records = reader.read(
            self._connection,
            self._clock,
            topic,
            found if partition is None else [partition],
            start=start,
            from_beginning=from_beginning,
            follow=follow,
        )
        async with aclosing(records):
            async for record in records:
                yield record

    async def log_ranges(self, topics: Collection[str]) -> Mapping[TopicPartition, LogRange]:
        """Return what partitions hold; see the interface. Raises UnknownTopic, Unavailable."""
        return await self._admin.log_ranges(await self._all(topics))

    async def committed(self, group: str, topics: Collection[str]) -> Mapping[TopicPartition, Commit | None]:
        """Return where a group stands; see the interface. Raises UnknownTopic, Unavailable."""
        return await self._admin.committed(group, await self._all(topics))

    async def members(self, group: str) -> int:
        """Return how many are in a group; see the interface. Raises Unavailable."""
        return await self._admin.members(group)

    async def _all(self, topics: Collection[str]) -> list[TopicPartition]:
        found = await self._admin.find(topics)
        return [TopicPartition(topic, each.partition) for topic, partitions in found.items() for each in partitions]
