"""Records in an installation's log, as a gateway and a forwarder would have left them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import consumers.service
import gateway.configured
from broker.factory import open_broker
from broker.interface import RebalanceListener
from runtime import config
from runtime.clock import SystemClock
from runtime.logs import Logs
from runtime.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from broker.interface import Assignment, Broker, Commit, Message, TopicPartition
    from tests.cli.sluice import Installation


@asynccontextmanager
async def log_of(sluice: Installation) -> AsyncIterator[Broker]:
    """Give the installation's broker, with all its topics."""
    settings = config.load(sluice.config, {})
    logs = Logs("test", 2, level="error")
    async with open_broker(settings.broker, Metrics(), logs.log, SystemClock()) as broker:
        await broker.ensure_topics([*gateway.configured.topics(settings), *consumers.service.topics(settings)])
        yield broker
    logs.close()


async def publish(broker: Broker, topic: str, partition: int, *messages: Message) -> None:
    publisher = await broker.publisher()
    try:
        await publisher.publish(topic, partition, messages)
    finally:
        await publisher.close()


async def commit(broker: Broker, group: str, topic: str, commits: Mapping[TopicPartition, Commit]) -> None:
    """Commit as the only member of a group."""
    listener = _Listener()
    subscription = await broker.subscribe(group, [topic], listener)
    try:
        while not commits.keys() <= subscription.assignment:
            await subscription.poll(1, ())
        await subscription.commit(commits)
    finally:
        await subscription.close()


class _Listener(RebalanceListener):
    async def assigned(self, assignments: Sequence[Assignment]) -> None:
        """Take what comes."""

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Let it go."""
