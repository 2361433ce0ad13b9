"""The disk under the spool is full while Kafka is away: the gateway says 503 and claims nothing, what it accepted is delivered in the end,
and it accepts again by itself.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.chaos.configuration import Log
from tests.chaos.length import EVENTS, SHORT, TIMEOUT, rate, shop_names
from tests.chaos.patience import accepted, refused, sent, until
from tests.chaos.small_disk import small_disk
from tests.chaos.traffic import Traffic
from tests.chaos.upstream import Upstream
from tests.chaos.verdict import require_promises_kept
from tests.chaos.weather import calm

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from tests.chaos.small_disk import SmallDisk
    from tests.chaos.world import World
    from tests.kafka.cluster import KafkaCluster

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.timeout(TIMEOUT)]

DISK_BYTES = 64 << 20
LEFT_BYTES = 1 << 20 if SHORT else 8 << 20
TIMES = 1 if SHORT else 4
REFUSALS = 20
STILL_SECONDS = 1.0


async def _claims_nothing(traffic: Traffic) -> None:
    """Wait until, for a while, there are refusals and nothing else."""
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, "it accepts on a full disk"
        acknowledged, refusals = traffic.acknowledged, traffic.answers("503")
        await asyncio.sleep(STILL_SECONDS)
        if traffic.acknowledged == acknowledged and traffic.answers("503") > refusals:
            return


async def _fill(world: World, kafka: KafkaCluster, traffic: Traffic, disk: SmallDisk) -> None:
    gateway = world.role("gateway")
    for time_ in range(1, TIMES + 1):
        await until(partial(sent, traffic, time_ * EVENTS / (TIMES + 1)), "traffic flows", TIMEOUT)
        await asyncio.to_thread(kafka.kill)
        await until(lambda: gateway.gauge("sluice_spool_records") > 0, "the gateway spools")
        disk.fill(LEFT_BYTES)
        await until(partial(refused, traffic, traffic.answers("503") + REFUSALS), "the gateway says 503")
        disk.fill()
        await _claims_nothing(traffic)
        assert "full" in gateway.unready()["broker"]
        acknowledged = traffic.acknowledged
        await asyncio.to_thread(kafka.restart)
        await until(partial(accepted, traffic, acknowledged), "the gateway accepts again")
        await until(lambda: gateway.gauge("sluice_spool_records") == 0, "the spool is drained")
        disk.empty()


async def test_the_disk_under_the_spool_is_full(
    make_world: Callable[..., World], kafka_cluster: KafkaCluster, session: aiohttp.ClientSession
) -> None:
    world = make_world(shop_names("acme", "beta"), Log(kafka_cluster.bootstrap_servers))
    place = world.data / "spool"
    place.mkdir(parents=True)
    with small_disk(place, DISK_BYTES) as disk:
        assert disk is not None
        gateway = world.role("gateway")
        gateway.within = disk.within
        await asyncio.to_thread(world.start, "sandbox", "gateway", "forwarder")
        upstream = Upstream(world, session)
        await upstream.set(calm())
        traffic = Traffic(world, EVENTS, rate())
        async with asyncio.TaskGroup() as group:
            group.create_task(_fill(world, kafka_cluster, traffic, disk))
            await traffic.run()
        world.notes += [traffic.summary()]
        audit = await require_promises_kept(world, upstream, traffic.ledgers)
        assert audit.code == 0
        assert traffic.answers("503") > REFUSALS
        assert gateway.starts == 1
        gateway.require_alive()
        assert gateway.unready() == {}
        world.close()
