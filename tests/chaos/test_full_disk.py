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

LONG_ONLY = pytest.mark.skipif(SHORT, reason="a full disk is tested in tests/broker/spool too: make chaos")
DISK_BYTES = 64 << 20
LEFT_BYTES = 8 << 20
TIMES = 1 if SHORT else 6
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
    """Fill the disk while Kafka is away, again and again; every other time the gateway is killed over it. Nobody makes room before what
    is spooled is drained.
    """
    gateway = world.role("gateway")
    for number in range(1, TIMES + 1):
        await until(partial(sent, traffic, number * EVENTS / (TIMES + 1)), "traffic flows", TIMEOUT)
        await asyncio.to_thread(kafka.kill)
        await until(lambda: gateway.gauge("sluice_spool_records") > 0, "the gateway spools")
        disk.fill(LEFT_BYTES)
        await until(partial(refused, traffic, traffic.answers("503") + REFUSALS), "the gateway says 503")
        disk.fill()
        await _claims_nothing(traffic)
        assert "the disk is full" in gateway.unready()["broker"]
        if number % 2 == 0:
            await asyncio.to_thread(gateway.kill)
            gateway.start()
            await until(lambda: "the disk is full" in gateway.unready().get("broker", ""), "it comes back")
            await _claims_nothing(traffic)
        acknowledged = traffic.acknowledged
        await asyncio.to_thread(kafka.restart)
        await until(partial(accepted, traffic, acknowledged), "the gateway accepts again")
        await until(lambda: gateway.gauge("sluice_spool_records") == 0, "the spool is drained")
        disk.empty()


@LONG_ONLY
async def test_the_disk_under_the_spool_is_full(
    make_world: Callable[..., World], kafka_cluster: KafkaCluster, session: aiohttp.ClientSession
) -> None:
    world = make_world(shop_names("acme", "beta"), Log(kafka_cluster.bootstrap_servers))
    place = world.data / "spool"
    place.mkdir(parents=True)
    with small_disk(place, DISK_BYTES) as disk:
        if disk is None:
            pytest.skip("no file system may be mounted here: tests/broker/spool has files that may not grow")
        gateway = world.role("gateway")
        gateway.within = disk.within
        await asyncio.to_thread(world.start, "sandbox", "gateway", "forwarder")
        upstream = Upstream(world, session)
        await upstream.set(calm())
        traffic = Traffic(world, EVENTS, rate())
        async with asyncio.TaskGroup() as group:
            group.create_task(_fill(world, kafka_cluster, traffic, disk))
            await traffic.run()
        world.notes += [traffic.summary(), f"disk filled: {TIMES}; gateway killed meanwhile: {gateway.starts - 1}"]
        audit = await require_promises_kept(world, upstream, traffic.ledgers)
        assert audit.code == 0
        assert traffic.answers("503") > REFUSALS
        assert gateway.starts == 1 + TIMES // 2
        gateway.require_alive()
        assert gateway.unready() == {}
        world.close()
