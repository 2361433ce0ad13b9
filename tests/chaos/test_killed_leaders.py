"""Three brokers, of which the one that leads is killed under load, again and again: what was acknowledged is on two (G1), and it is
delivered in its order.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.topics import events_topic
from tests.chaos.configuration import Log
from tests.chaos.length import EVENTS, SHORT, TIMEOUT, rate, shop_names
from tests.chaos.patience import accepted, until
from tests.chaos.traffic import Traffic
from tests.chaos.upstream import Upstream
from tests.chaos.verdict import require_promises_kept
from tests.chaos.weather import calm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    import aiohttp

    from tests.chaos.world import World
    from tests.kafka.cluster import KafkaCluster

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.timeout(TIMEOUT)]

LONG_ONLY = pytest.mark.skipif(
    SHORT, reason="what the publisher does when one of three dies is tested in tests/broker too: make chaos"
)
BROKERS = 3
AT_LEAST = 5
LONGEST_LIFE = 8.0
LONGEST_DEATH = 12.0
DEADLINE = 90.0


class Replicas:
    """What the brokers say of one topic."""

    def __init__(self, admin: Any, topic: str) -> None:
        self._admin = admin
        self._topic = topic

    async def leaders(self) -> list[int]:
        """Return who leads which partition, as the cluster counts its nodes from 0. Waits for a leader of each."""
        return [each["leader"] - 1 for each in await self._until(lambda each: each["leader"] > 0)]

    async def in_sync(self) -> None:
        """Wait until every replica has everything."""
        await self._until(lambda each: len(each["isr"]) == BROKERS)

    async def _until(self, fine: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        async with asyncio.timeout(DEADLINE):
            while True:
                found = await self._partitions()
                if found and all(map(fine, found)):
                    return found
                await asyncio.sleep(0.2)

    async def _partitions(self) -> list[dict[str, Any]]:
        try:
            (topic,) = await self._admin.describe_topics([self._topic])
        except (KafkaError, OSError, KeyError, AssertionError):
            return []  # it was the one that died who was asked
        return sorted(topic["partitions"], key=lambda each: int(each["partition"]))


@asynccontextmanager
async def replicas(bootstrap_servers: str, topic: str) -> AsyncIterator[Replicas]:
    """Yield who can say how the replicas of `topic` stand."""
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=5_000)
    await admin.start()
    try:
        yield Replicas(admin, topic)
    finally:
        await admin.close()


def _goes_on(traffic: Traffic, acknowledged: int) -> bool:
    return traffic.finished or accepted(traffic, acknowledged)


async def _kill_leaders(kafka: KafkaCluster, topics: Collection[str], traffic: Traffic, seed: int) -> int:
    """Kill whoever leads some partition, start it again, wait until it has caught up; while there is traffic. Return how often."""
    chance = random.Random(f"leaders-{seed}")  # noqa: S311 - chances that can be repeated
    kills = 0
    while not traffic.finished or kills < AT_LEAST:
        async with replicas(kafka.bootstrap_servers, chance.choice(sorted(topics))) as topic:
            await topic.in_sync()
            await asyncio.sleep(chance.uniform(0, LONGEST_LIFE))
            leader = chance.choice(await topic.leaders())
            await asyncio.to_thread(kafka.kill, leader)
            kills += 1
            await until(partial(_goes_on, traffic, traffic.acknowledged), "it accepts while a broker is gone")
            await asyncio.sleep(chance.uniform(0, LONGEST_DEATH))
            await asyncio.to_thread(kafka.restart, leader)
            await topic.in_sync()
    return kills


@LONG_ONLY
@pytest.mark.parametrize("spool", [True, False], ids=["spool", "no spool"])
async def test_leaders_are_killed_again_and_again(
    make_world: Callable[..., World],
    start_kafka: Callable[..., KafkaCluster],
    session: aiohttp.ClientSession,
    *,
    spool: bool,
) -> None:
    kafka = await asyncio.to_thread(start_kafka, BROKERS)
    world = make_world(shop_names("acme", "beta"), Log(kafka.bootstrap_servers, spool=spool, replicas=BROKERS))
    await asyncio.to_thread(world.start, "sandbox", "gateway", "forwarder")
    upstream = Upstream(world, session)
    await upstream.set(calm())
    traffic = Traffic(world, EVENTS, rate())
    async with asyncio.TaskGroup() as group:
        topics = [events_topic(name) for name in world.shops]
        killing = group.create_task(_kill_leaders(kafka, topics, traffic, world.seed))
        await traffic.run()
    world.notes += [traffic.summary(), f"leaders killed: {killing.result()}"]
    audit = await require_promises_kept(world, upstream, traffic.ledgers)
    assert audit.code == 0
    for name in ("gateway", "forwarder"):
        world.role(name).require_alive()
        assert world.role(name).unready() == {}
        assert world.role(name).starts == 1
