"""Kafka itself is killed under load. With a spool the gateway accepts all the same; without one it says 503, claims nothing and recovers by
itself. No promise is broken.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.chaos.configuration import Log
from tests.chaos.length import EVENTS, SHORT, TIMEOUT, rate, shop_names
from tests.chaos.traffic import Traffic
from tests.chaos.upstream import Upstream
from tests.chaos.verdict import require_promises_kept
from tests.chaos.weather import calm

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from tests.chaos.world import World
    from tests.kafka.cluster import KafkaCluster

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.timeout(TIMEOUT)]

KILLS = 1 if SHORT else 5
LONG_ONLY = pytest.mark.skipif(
    SHORT, reason="what a gateway without a spool says is tested in tests/gateway too: make chaos"
)
SPOOLED = 100
NOT_DURABLE = "503 NOT_DURABLE"
DEADLINE = 60.0
UNDER_WAY_SECONDS = 0.5
"""What Kafka acknowledged before it died has reached its client by then."""


async def _until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.05)


async def _break(world: World, kafka: KafkaCluster, traffic: Traffic) -> None:
    """Kill Kafka for as long as it takes the gateway to spool, and see that it drains; `KILLS` times while the traffic lasts."""
    gateway = world.role("gateway")
    for share in range(1, KILLS + 1):
        await _until(partial(_sent, traffic, share * EVENTS / (KILLS + 1)), "traffic flows", TIMEOUT)
        await asyncio.to_thread(kafka.kill)
        await _until(lambda: gateway.gauge("sluice_spool_records") > SPOOLED, "the gateway spools")
        acknowledged = traffic.acknowledged
        await _until(partial(_accepted, traffic, acknowledged), "the gateway accepts while Kafka is away")
        assert gateway.unready() == {}, "it takes what comes"
        await asyncio.to_thread(kafka.restart)
        await _until(lambda: gateway.gauge("sluice_spool_records") == 0, "the spool is drained")


async def _break_without_a_spool(world: World, kafka: KafkaCluster, traffic: Traffic) -> None:
    """Kill Kafka for as long as it takes the gateway to say so, and see that it recovers; `KILLS` times while the traffic lasts."""
    gateway = world.role("gateway")
    for share in range(1, KILLS + 1):
        await _until(partial(_sent, traffic, share * EVENTS / (KILLS + 1)), "traffic flows", TIMEOUT)
        refusals = traffic.answers(NOT_DURABLE)
        await asyncio.to_thread(kafka.kill)
        await asyncio.sleep(UNDER_WAY_SECONDS)
        acknowledged = traffic.acknowledged
        await _until(partial(_refused, traffic, refusals), "the gateway says 503")
        await _until(lambda: "broker" in gateway.unready(), "readiness tells of the broker")
        assert traffic.acknowledged == acknowledged, "accepted while there was nothing to keep it"
        await asyncio.to_thread(kafka.restart)
        await _until(partial(_accepted, traffic, acknowledged), "the gateway accepts again")


def _sent(traffic: Traffic, more_than: float) -> bool:
    return traffic.sent > more_than


def _refused(traffic: Traffic, more_than: int) -> bool:
    return traffic.answers(NOT_DURABLE) > more_than


def _accepted(traffic: Traffic, more_than: int) -> bool:
    return traffic.acknowledged > more_than


@pytest.mark.parametrize("spool", [True, pytest.param(False, marks=LONG_ONLY)], ids=["spool", "no spool"])
async def test_kafka_is_killed_and_comes_back(
    make_world: Callable[..., World], kafka_cluster: KafkaCluster, session: aiohttp.ClientSession, *, spool: bool
) -> None:
    world = make_world(shop_names("acme", "beta"), Log(kafka_cluster.bootstrap_servers, spool=spool))
    await asyncio.to_thread(world.start, "sandbox", "gateway", "forwarder")
    upstream = Upstream(world, session)
    await upstream.set(calm())
    traffic = Traffic(world, EVENTS, rate())
    async with asyncio.TaskGroup() as group:
        breaking = _break if spool else _break_without_a_spool
        group.create_task(breaking(world, kafka_cluster, traffic))
        await traffic.run()
    world.notes += [traffic.summary(), f"Kafka killed: {KILLS}"]
    audit = await require_promises_kept(world, upstream, traffic.ledgers)
    assert audit.code == 0
    assert (traffic.answers(NOT_DURABLE) > 0) is not spool
    assert [world.role(name).starts for name in ("gateway", "forwarder")] == [1, 1]
    for name in ("gateway", "forwarder"):
        world.role(name).require_alive()
        assert world.role(name).unready() == {}
