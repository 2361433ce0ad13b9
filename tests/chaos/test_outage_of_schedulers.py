"""Kafka is killed, or hangs, while two schedulers pull: they wait for it, ask no vendor meanwhile, and go on by themselves."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.chaos.configuration import Log
from tests.chaos.exports import Reader, Restating, configure
from tests.chaos.length import SHORT, TIMEOUT, shop_names
from tests.chaos.monkey import until

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from tests.chaos.world import World
    from tests.kafka.cluster import KafkaCluster

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.timeout(TIMEOUT)]

ROLES = ("scheduler", "scheduler-2")
OUTAGES = 5
SESSION_SECONDS = 6.0
"""After which nobody may take itself for an owner that was not heard of."""
SILENCE_SECONDS = 3.0
TOLD_SECONDS = 60.0


@pytest.mark.skipif(SHORT, reason="an outage is noticed after 15 s: make chaos")
@pytest.mark.parametrize("how", ["killed", "hanging"])
async def test_an_outage_of_kafka_is_waited_for(
    make_world: Callable[..., World], kafka_cluster: KafkaCluster, session: aiohttp.ClientSession, how: str
) -> None:
    world = make_world(shop_names("acme"), Log(kafka_cluster.bootstrap_servers))
    export = configure(world)
    await asyncio.to_thread(world.start, "sandbox", *ROLES)
    vendor = Restating(world, session)
    async with world.broker() as broker:
        reader = Reader(broker, export)
        async with reader.reading():
            await until(reader.pulls, "the first pull", at_least=1)
            for _ in range(OUTAGES):
                await asyncio.to_thread(kafka_cluster.kill if how == "killed" else kafka_cluster.pause)
                await _require_silence(world, vendor)
                await asyncio.to_thread(kafka_cluster.restart if how == "killed" else kafka_cluster.resume)
                await reader.require_agreement(vendor)
                for role in ROLES:
                    await asyncio.to_thread(world.role(role).wait_ready)
        reader.require_whole_pulls(OUTAGES)
        reader.require_each_revision_once()
        await reader.require_no_gap()
    assert await vendor.most_at_once() == 1
    assert [world.role(role).starts for role in ROLES] == [1, 1]
    world.notes.append(f"{await reader.pulls()} pulls published, outages: {OUTAGES}")


async def _require_silence(world: World, vendor: Restating) -> None:
    """Nobody owns anything for certain any more: the vendor is not asked, and readiness tells why."""
    await asyncio.sleep(SESSION_SECONDS)
    asked = await vendor.asked()
    await asyncio.sleep(SILENCE_SECONDS)
    assert await vendor.asked() == asked
    deadline = time.monotonic() + TOLD_SECONDS
    for role in ROLES:
        while "broker" not in (told := await asyncio.to_thread(world.role(role).unready)):
            assert time.monotonic() < deadline, f"{role} says only {told}"
            await asyncio.sleep(0.2)
