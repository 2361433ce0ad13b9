"""Gateway and forwarder are killed and restarted again and again while the ingestion API fails in every way: nothing that was
accepted is lost, reordered, invented or counted twice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.chaos.configuration import Log
from tests.chaos.length import EVENTS, SHORT, TIMEOUT, rate, shop_names
from tests.chaos.monkey import Monkey, progress, ride_out, until
from tests.chaos.traffic import Traffic
from tests.chaos.upstream import Upstream
from tests.chaos.verdict import require_promises_kept
from tests.chaos.weather import calm, storm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import aiohttp

    from tests.chaos.role import Role
    from tests.chaos.world import World
    from tests.kafka.fixtures import RunningKafka

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIMEOUT)]

FAULTS = {"500", "429", "502", "reset", "html", "reset_after_delivery"}


async def _survive(world: World, session: aiohttp.ClientSession, victims: Sequence[str]) -> None:
    """Start without `topics ensure`, break everything for as long as there is traffic, then hold the world to its promises."""
    await asyncio.to_thread(world.start, "sandbox", *victims)
    upstream = Upstream(world, session)
    await upstream.set(storm(world.seed))
    traffic = Traffic(world, EVENTS, rate())

    async def arrived() -> int:
        return sum([await upstream.count(shop) for shop in world.shops.values()])

    async def acknowledged() -> int:
        return traffic.acknowledged

    async def working(role: Role) -> None:
        await progress(acknowledged if role.name == "gateway" else arrived, role.name, unless=lambda: traffic.finished)

    monkey = Monkey([world.role(name) for name in victims], world.seed, working)
    await ride_out(traffic, monkey)
    # The storm must have met most of it, however long the forwarder was away.
    await until(arrived, at_least=traffic.acknowledged * 2 // 3, what="events that arrive in the storm")
    applied = await upstream.faults_applied()
    world.notes += [traffic.summary(), f"killed: {dict(monkey.kills)}", f"faults of the ingestion API: {applied}"]
    await upstream.set(calm())
    audit = await require_promises_kept(world, upstream, traffic.ledgers)
    assert audit.code == 0
    assert traffic.acknowledged > EVENTS / 2
    assert all(monkey.kills[name] for name in victims), monkey.kills
    # A kill of the gateway cuts off what is in flight; in the short run there may be just then nothing.
    assert SHORT or traffic.answers("none") > 0
    assert sum(applied[fault] for fault in FAULTS) >= 10, applied
    assert SHORT or all(applied[fault] for fault in FAULTS), applied


@pytest.mark.kafka
async def test_on_kafka(make_world: Callable[..., World], kafka: RunningKafka, session: aiohttp.ClientSession) -> None:
    world = make_world(shop_names("acme", "beta"), Log(kafka.bootstrap_servers))
    # It takes Kafka 6 s to miss a member that was killed: two of them are for the long run.
    await _survive(world, session, ["gateway", "forwarder"] if SHORT else ["gateway", "forwarder", "forwarder-2"])


async def test_on_the_embedded_log(make_world: Callable[..., World], session: aiohttp.ClientSession) -> None:
    world = make_world(shop_names("acme", "beta"))
    await _survive(world, session, ["gateway", "forwarder", "forwarder-2"])
