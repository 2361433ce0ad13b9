"""Forwarders on a real log, as `consumers.service.main` runs them, and APIs that answer as they are told."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Self

from pydantic import SecretStr

from broker.factory import open_broker
from broker.interface import Commit, RebalanceListener
from consumers.audit import Balance, balance
from consumers.service import main, topics
from runtime.clock import SystemClock
from runtime.settings import ForwarderSettings, IngestionSettings, Settings, StorefrontSettings
from schemas.topics import DEAD_LETTERS, FORWARDER_GROUP, events_topic, partition_of
from tests.consumers.shop import KEY, event, make_process
from tests.consumers.sink import Sink, sinking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence

    from broker.interface import Assignment, Broker, Message, Publisher, Record, TopicPartition
    from runtime.settings import BrokerSettings


class Town:
    """Storefronts `a`, `b`, … each with a sink and a topic of `partitions`. Events are named as a Shop's are."""

    def __init__(self, settings: Settings, sinks: dict[str, Sink], broker: Broker, publisher: Publisher) -> None:
        self.settings = settings
        self.sinks = sinks
        self.broker = broker
        self.publisher = publisher

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.settings.storefronts]

    @property
    def sink(self) -> Sink:
        """The first storefront's."""
        return self.sinks[self.names[0]]

    async def accept(self, *names: str, storefront: str | None = None) -> None:
        """Events are accepted: they are in the log when this returns."""
        topic = events_topic(storefront or self.names[0])
        count = await self.broker.partitions(topic)
        by_partition: dict[int, list[Message]] = {}
        for index, name in enumerate(names):
            key = None if name[0] == "-" else name[0].encode()
            partition = index % count if key is None else partition_of(key, count)
            by_partition.setdefault(partition, []).append((key, event(name), [("ce_id", name.encode())]))
        await asyncio.gather(
            *(self.publisher.publish(topic, partition, messages) for partition, messages in by_partition.items())
        )

    @asynccontextmanager
    async def forwarder(self, settings: Settings | None = None) -> AsyncIterator[Forwarding]:
        """A forwarder that runs until the block ends, and then drains."""
        forwarding = Forwarding(settings or self.settings)
        try:
            yield forwarding
        finally:
            await forwarding.stop()

    async def balances(self) -> dict[str, Balance]:
        return {each.storefront: each for each in await balance(self.broker, self.settings)}

    async def balance(self) -> Balance:
        """The first storefront's."""
        return (await self.balances())[self.names[0]]

    async def dead_letters(self) -> list[Record]:
        """This town's."""
        names = {name.encode() for name in self.names}
        return [
            record async for record in self.broker.read(DEAD_LETTERS) if dict(record.headers).get("storefront") in names
        ]

    async def skip(self, storefront: str) -> None:
        """Commit past the next waiting record, as somebody with a tool would who keeps what stands beside the commit."""
        topic = events_topic(storefront)
        owner = Owner()
        subscription = await self.broker.subscribe(FORWARDER_GROUP, [topic], owner)
        try:
            count = await self.broker.partitions(topic)
            async with asyncio.timeout(20):
                while len(owner.owned) < count:
                    await subscription.poll(0.1, ())
            waiting = next(each for each in owner.owned.values() if each.log.end > each.position)
            metadata = "" if waiting.commit is None else waiting.commit.metadata
            await subscription.commit({waiting.partition: Commit(waiting.position + 1, metadata)})
        finally:
            await subscription.close()


class Owner(RebalanceListener):
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.owned: dict[TopicPartition, Assignment] = {}

    async def assigned(self, assignments: Sequence[Assignment]) -> None:
        self.owned |= {each.partition: each for each in assignments}

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        for partition in partitions:
            self.owned.pop(partition, None)


class Forwarding:
    """A forwarder's process, without the process."""

    def __init__(self, settings: Settings) -> None:
        self.process, self.log = make_process(SystemClock())
        self.task = asyncio.create_task(main(settings, self.process))

    async def stop(self) -> None:
        """Ask it to stop, and wait until it has drained. Raises what it ended with."""
        self.process.stop("test")
        await asyncio.wait_for(self.task, self.process.drain_seconds + 5)

    def lines(self, what: str) -> list[str]:
        return [repr(entry) for entry in self.log if entry["event"] == what]

    def reasons(self) -> dict[str, str]:
        return self.process.health.reasons()


class Builder:
    """Builds towns on one log; closes them in the end."""

    def __init__(self, broker: BrokerSettings) -> None:
        self.broker = broker
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def town(self, storefronts: int = 1, *, partitions: int = 3, ensure: bool = True, **forwarder: int) -> Town:
        """A town of its own: its storefronts have names that no other has."""
        sinks: dict[str, Sink] = {}
        for letter in "abcdefgh"[:storefronts]:
            sinks[f"{letter}-{uuid.uuid4().hex[:8]}"] = await self._stack.enter_async_context(sinking())
        settings = Settings(
            broker=self.broker,
            forwarder=ForwarderSettings.model_validate({"max_batch_wait_ms": 20, **forwarder}),
            storefronts=[
                StorefrontSettings(
                    name=name,
                    partitions=partitions,
                    ingestion=IngestionSettings(url=sink.url, api_key=SecretStr(KEY)),
                )
                for name, sink in sinks.items()
            ],
        )
        process, _ = make_process(SystemClock())
        broker = open_broker(self.broker, process.metrics, process.log, process.clock)
        await self._stack.enter_async_context(broker)
        if ensure:
            await broker.ensure_topics(topics(settings))
        publisher = await broker.publisher()
        self._stack.push_async_callback(publisher.close)
        return Town(settings, sinks, broker, publisher)


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - a log has no event to wait for
            await asyncio.sleep(0.02)
