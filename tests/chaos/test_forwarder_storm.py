"""The forwarder's oracle: three storefronts under weather that changes at random, two forwarders that are killed, brokers that are
restarted. Nothing is lost, each key keeps its order, the audit balances at every sample, and while one storefront is parked the others
do not feel it.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import pytest

from sandbox.faults.rules import FaultPlan
from tests.chaos.auditor import Auditor
from tests.chaos.configuration import Log
from tests.chaos.delay import LEAST, Delays, Window
from tests.chaos.length import EVENTS, SHORT, TIMEOUT, rate, shop_names
from tests.chaos.monkey import Monkey, progress
from tests.chaos.patience import sent, until
from tests.chaos.spells import ALWAYS, Spells, used_up
from tests.chaos.traffic import LARGEST_BATCH, Traffic
from tests.chaos.upstream import Upstream
from tests.chaos.verdict import require_promises_kept, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from tests.chaos.role import Role
    from tests.chaos.world import World
    from tests.kafka.cluster import KafkaCluster

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIMEOUT)]

BROKERS = 3
FORWARDERS = ("forwarder", "forwarder-2")
STORMY = EVENTS * 3 // 4 if SHORT else EVENTS
MEASURED = EVENTS // 4
"""About so many events come before the storm, half of them in calm weather, half while one storefront is parked."""
KINDS_SHARE = 0.1 if SHORT else 0.5 if EVENTS < 300_000 else 1.0
"""How many of the kinds of weather must have met a request: a kind comes again after a minute or two."""
RATE = 2 * rate() if SHORT else rate()
NOT_FELT_FACTOR = 3.0
NOT_FELT_SECONDS = 1.0
"""Far below the shortest time in which anything of a parked storefront ends; what two cores do to each other is not."""
LEEWAY_SECONDS = NOT_FELT_SECONDS if SHORT else 5.0
"""What was accepted in calm weather has so long to arrive before the storm begins: what takes longer was held up by something else."""
LIFE_SECONDS = (5.0, 15.0)
DEATH_SECONDS = (0.0, 5.0)
DRAIN_SECONDS = 400.0
"""A storefront that was parked late may rest up to 5 min before its next probe."""


async def _measure(world: World, upstream: Upstream, traffic: Traffic) -> tuple[Window, Window]:
    """Return when it was calm, and when the first storefront was parked. Everything runs, and nothing breaks meanwhile."""
    victim = next(iter(world.shops))
    forwarders = [world.role(name) for name in FORWARDERS]
    await until(partial(sent, traffic, MEASURED / 10), "traffic flows", TIMEOUT)
    calm_window = await _window(traffic)
    await upstream.set(FaultPlan(rules=[used_up(victim), *ALWAYS]))
    await until(lambda: any(each.gauge("sluice_forwarder_paused") for each in forwarders), "one storefront is parked")
    parked_window = await _window(traffic)
    await asyncio.sleep(LEEWAY_SECONDS)
    return calm_window, parked_window


async def _window(traffic: Traffic) -> Window:
    """Return the time in which two fifths of as many events are accepted as are measured, from now on; and enough of each storefront."""
    start = time.time()
    before = {name: ledger.acknowledged for name, ledger in traffic.ledgers.items()}

    def enough() -> bool:
        # Some that are acknowledged now were accepted before the window.
        found = [ledger.acknowledged - before[name] for name, ledger in traffic.ledgers.items()]
        return sum(found) > MEASURED * 2 // 5 and min(found) > 2 * LEAST + LARGEST_BATCH

    await until(enough, "events of every storefront are accepted", TIMEOUT)
    return Window.since(start)


async def _restart_brokers(kafka: KafkaCluster, traffic: Traffic, seed: int) -> int:
    """Kill a broker, or shut it down in good order, and start it again, while there is traffic. Return how often."""
    random = Random(f"brokers-{seed}")  # noqa: S311 - chances that can be repeated
    restarts = 0
    while not traffic.finished:
        await asyncio.sleep(random.uniform(*LIFE_SECONDS))
        node = random.randrange(BROKERS)
        await asyncio.to_thread(random.choice([kafka.kill, kafka.shut_down]), node)
        await asyncio.sleep(random.uniform(*DEATH_SECONDS))
        await asyncio.to_thread(kafka.restart, node)
        restarts += 1
    return restarts


async def _storm(world: World, upstream: Upstream, traffic: Traffic, running: asyncio.Task[Traffic]) -> None:
    """Let the weather change and kill the forwarders until the traffic is through and most of it has arrived."""

    async def arrived() -> int:
        return sum([await upstream.count(shop) for shop in world.shops.values()])

    async def working(role: Role) -> None:
        await progress(arrived, role.name, unless=lambda: traffic.finished)

    spells = Spells(upstream, list(world.shops), world.seed)
    monkey = Monkey([world.role(name) for name in FORWARDERS], world.seed, working, at_least=1 if SHORT else 2)
    async with asyncio.TaskGroup() as group:
        group.create_task(spells.run())
        killing = group.create_task(monkey.run())
        await running
        while await arrived() < traffic.acknowledged / 2:
            await progress(arrived, "events that arrive in the storm", unless=lambda: False)
        monkey.stop()
        await killing
        spells.stop()
    world.notes += [f"killed: {dict(monkey.kills)}", f"struck: {dict(sorted(spells.struck.items()))}"]
    struck = [kind for kind in spells.kinds if spells.struck[kind]]
    assert len(struck) >= len(spells.kinds) * KINDS_SHARE, spells.struck


async def _survive(world: World, session: aiohttp.ClientSession, kafka: KafkaCluster | None) -> None:
    await asyncio.to_thread(world.start, "sandbox", "gateway", *FORWARDERS)
    upstream, auditor = Upstream(world, session), Auditor(world)
    await upstream.set(FaultPlan(rules=[*ALWAYS]))
    traffic = Traffic(world, MEASURED + STORMY, RATE)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(traffic.run())
        windows = await _measure(world, upstream, traffic)
        auditing = group.create_task(auditor.run())
        breaking = None if kafka is None else group.create_task(_restart_brokers(kafka, traffic, world.seed))
        await _storm(world, upstream, traffic, running)
        await upstream.set(FaultPlan(rules=[*ALWAYS]))
        if breaking is not None:
            world.notes.append(f"brokers restarted: {await breaking}")
        await settled(world, DRAIN_SECONDS)
        auditor.stop()
        await auditing
    world.notes += [f"CHAOS_SEED={world.seed}", traffic.summary(), auditor.summary()]
    others = [await Delays.of(world, upstream, shop) for shop in list(world.shops.values())[1:]]
    spans = [[delays.p99(window) for window in windows] for delays in others]
    world.notes += [f"99 of 100 within {calm:.3f} s, while another was parked {parked:.3f} s" for calm, parked in spans]
    await require_promises_kept(world, upstream, traffic.ledgers)
    assert auditor.faults == []
    unassigned = [name for name in FORWARDERS if b'"no assignment"' in world.role(name).log.read_bytes()]
    assert unassigned == [], "a rebalance takes seconds: who waits for much longer hangs"
    assert auditor.balanced > auditor.unanswered.total(), auditor.unanswered
    for calm, parked in spans:
        assert parked <= max(NOT_FELT_SECONDS, NOT_FELT_FACTOR * calm)


@pytest.mark.skipif(not SHORT, reason="the short cut of the one on Kafka")
async def test_on_the_embedded_log(make_world: Callable[..., World], session: aiohttp.ClientSession) -> None:
    await _survive(make_world(shop_names("acme", "beta", "gamma")), session, None)


@pytest.mark.kafka
@pytest.mark.skipif(SHORT, reason="three brokers take longer to start than the short cut lasts: make chaos")
@pytest.mark.parametrize("named", [False, True], ids=["nameless", "named"])
async def test_on_kafka(
    make_world: Callable[..., World],
    start_kafka: Callable[..., KafkaCluster],
    session: aiohttp.ClientSession,
    *,
    named: bool,
) -> None:
    kafka = await asyncio.to_thread(start_kafka, BROKERS)
    world = make_world(shop_names("acme", "beta", "gamma"), Log(kafka.bootstrap_servers, replicas=BROKERS))
    if named:
        for name in FORWARDERS:
            world.role(name).within = ["env", f"SLUICE_FORWARDER__INSTANCE={name}"]
    await _survive(world, session, kafka)
