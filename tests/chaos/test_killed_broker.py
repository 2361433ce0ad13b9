"""Kafka itself is killed, frozen and restarted under load, and workers of the gateway with it. With a spool the gateway accepts all the
same; without one it says 503, claims nothing and recovers by itself. No promise is broken.
"""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.chaos.configuration import Log
from tests.chaos.length import EVENTS, SHORT, TIMEOUT, rate, shop_names
from tests.chaos.patience import DEADLINE, accepted, refused, sent, until
from tests.chaos.traffic import Traffic
from tests.chaos.upstream import Upstream
from tests.chaos.verdict import require_promises_kept
from tests.chaos.weather import calm

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from tests.chaos.role import Role
    from tests.chaos.world import World
    from tests.kafka.cluster import KafkaCluster

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.timeout(TIMEOUT)]

BREAKS = ("killed",) if SHORT else ("killed", "frozen", "restarted") * 3
LONGEST_ABSENCE = 0.0 if SHORT else 12.0
WORKERS = 2
LONG_ONLY = pytest.mark.skipif(
    SHORT, reason="what a gateway without a spool says is tested in tests/gateway too: make chaos"
)
SPOOLED = 100
EMPTY_SECONDS = 1.0 if SHORT else 4.0
NOT_DURABLE = "503 NOT_DURABLE"
UNDER_WAY_SECONDS = 0.5
"""What Kafka acknowledged before it died has reached its client by then."""


class Breaking:
    """What is done to a world, in turn, while the traffic lasts."""

    def __init__(self, world: World, kafka: KafkaCluster, traffic: Traffic) -> None:
        self._world = world
        self._kafka = kafka
        self._traffic = traffic
        self._gateway = world.role("gateway")
        self._chance = random.Random(f"breaking-{world.seed}")  # noqa: S311 - chances that can be repeated
        self.workers_killed = 0

    async def with_a_spool(self) -> None:
        """See that the gateway goes on, and that the spool drains. A worker dies while Kafka is away, and one just after it is back."""
        for number, how in enumerate(BREAKS, 1):
            await self._until_sent(number)
            await self._begin(how)
            if how != "restarted":
                await until(self._spools, "the gateway spools")
                await until(self._accepts(), "the gateway accepts while Kafka is away")
                assert self._gateway.unready() == {}, "it takes what comes"
                await self._kill_a_worker()
                await until(self._accepts(), "it accepts with a new worker")
                await asyncio.sleep(self._chance.uniform(0, LONGEST_ABSENCE))
            await self._end(how)
            if not SHORT:
                await self._kill_a_worker()
            await self._drained()

    async def without_one(self) -> None:
        """See that the gateway says 503, claims nothing, and recovers."""
        for number, how in enumerate(BREAKS, 1):
            await self._until_sent(number)
            refusals = self._traffic.answers(NOT_DURABLE)
            await self._begin(how)
            if how != "restarted":
                await asyncio.sleep(UNDER_WAY_SECONDS)
                acknowledged = self._traffic.acknowledged
                await until(self._refuses(refusals), "the gateway says 503")
                await until(lambda: "broker" in self._gateway.unready(), "readiness tells of the broker")
                await asyncio.sleep(self._chance.uniform(0, LONGEST_ABSENCE))
                assert self._traffic.acknowledged == acknowledged, "accepted while there was nothing to keep it"
            await self._end(how)
            await until(self._accepts(), "the gateway accepts again")

    def _spools(self) -> bool:
        """Whether so much is spooled that it shows, or nothing is left to be sent."""
        return self._traffic.finished or self._gateway.gauge("sluice_spool_records") > SPOOLED

    async def _until_sent(self, number: int) -> None:
        share = number * EVENTS / (len(BREAKS) + 1)
        await until(partial(sent, self._traffic, share), "traffic flows", TIMEOUT)

    async def _drained(self) -> None:
        """Wait until the spool holds nothing: for a while, for what a worker held is counted again only by the one that takes it over."""
        empty_since = time.monotonic()
        deadline = empty_since + DEADLINE
        while time.monotonic() - empty_since < EMPTY_SECONDS:
            if await asyncio.to_thread(self._gateway.gauge, "sluice_spool_records"):
                empty_since = time.monotonic()
            assert time.monotonic() < deadline, "the spool is not drained"
            await asyncio.sleep(0.1)

    async def _begin(self, how: str) -> None:
        begin = {"killed": self._kafka.kill, "frozen": self._kafka.pause, "restarted": self._kafka.shut_down}[how]
        await asyncio.to_thread(begin)

    async def _end(self, how: str) -> None:
        await asyncio.to_thread(self._kafka.resume if how == "frozen" else self._kafka.restart)

    async def _kill_a_worker(self) -> None:
        """Kill the worker that has lived longest, so each in turn, and see that it is started again."""
        before = workers(self._gateway)
        min(before, key=psutil.Process.create_time).kill()
        self.workers_killed += 1
        await until(
            lambda: len(workers(self._gateway)) == WORKERS and workers(self._gateway) != before, "a worker in its place"
        )

    def _refuses(self, refusals: int) -> Callable[[], bool]:
        return lambda: self._traffic.finished or refused(self._traffic, refusals)

    def _accepts(self) -> Callable[[], bool]:
        """Return whether something is accepted from now on, or nothing is left to be sent."""
        acknowledged = self._traffic.acknowledged
        return lambda: self._traffic.finished or accepted(self._traffic, acknowledged)


def workers(gateway: Role) -> list[psutil.Process]:
    return psutil.Process(gateway.process.pid).children()


@pytest.mark.parametrize("spool", [True, pytest.param(False, marks=LONG_ONLY)], ids=["spool", "no spool"])
async def test_kafka_is_broken_and_comes_back(
    make_world: Callable[..., World],
    kafka_cluster: KafkaCluster,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    *,
    spool: bool,
) -> None:
    if spool:
        monkeypatch.setenv("SLUICE_GATEWAY__WORKERS", str(WORKERS))
    world = make_world(shop_names("acme", "beta"), Log(kafka_cluster.bootstrap_servers, spool=spool))
    await asyncio.to_thread(world.start, "sandbox", "gateway", "forwarder")
    upstream = Upstream(world, session)
    await upstream.set(calm())
    traffic = Traffic(world, EVENTS, rate())
    breaking = Breaking(world, kafka_cluster, traffic)
    async with asyncio.TaskGroup() as group:
        group.create_task(breaking.with_a_spool() if spool else breaking.without_one())
        await traffic.run()
    world.notes += [traffic.summary(), f"Kafka: {', '.join(BREAKS)}; workers killed: {breaking.workers_killed}"]
    audit = await require_promises_kept(world, upstream, traffic.ledgers)
    assert audit.code == 0
    assert (traffic.answers(NOT_DURABLE) > 0) is not spool
    assert traffic.answers("none: TimeoutError") == 0, "nobody waits for a worker that is not there"
    assert [world.role(name).starts for name in ("gateway", "forwarder")] == [1, 1]
    for name in ("gateway", "forwarder"):
        world.role(name).require_alive()
        assert world.role(name).unready() == {}
