"""Two schedulers are killed and frozen again and again while the vendor restates everything: a reader sees each pull whole or not at
all, no row comes twice with one revision, nothing is missing, and in the end the topic says what the vendor says.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.chaos.configuration import Log
from tests.chaos.exports import Reader, Restating, configure
from tests.chaos.length import SHORT, TIMEOUT, shop_names
from tests.chaos.monkey import Monkey, progress, until

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from tests.chaos.role import Role
    from tests.chaos.world import World
    from tests.kafka.fixtures import RunningKafka

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIMEOUT)]

PULLS = 12 if SHORT else 200
LONGEST_PULL = 0.08
"""From the vendor's being asked until all of it is in the log, about."""
LOOK_SECONDS = 0.005
LOOKS = 200
"""So often at the most: nobody may be at work."""


async def _survive(world: World, session: aiohttp.ClientSession) -> None:
    export = configure(world)
    await asyncio.to_thread(world.start, "sandbox", "scheduler", "scheduler-2")
    vendor = Restating(world, session)
    async with world.broker() as broker:
        reader = Reader(broker, export)
        async with reader.reading():
            await _ride_out(world, vendor, reader)
        await _require_promises_kept(vendor, reader, PULLS // 2)


async def _require_promises_kept(vendor: Restating, reader: Reader, pulls: int) -> None:
    reader.require_whole_pulls(pulls)
    reader.require_each_revision_once()
    await reader.require_no_gap()
    assert await vendor.most_at_once() == 1


async def _ride_out(world: World, vendor: Restating, reader: Reader) -> None:
    """Kill and restate until there were enough pulls, then wait until the topic says what the vendor says."""
    enough = False
    chance = Random(f"aim-{world.seed}")  # noqa: S311 - chances that can be repeated

    async def working(role: Role) -> None:
        await progress(reader.pulls, role.name, unless=lambda: enough)

    async def aim() -> None:
        if chance.random() < 0.5:
            await _amid_a_pull(vendor, chance)

    await until(reader.pulls, "the first pull", at_least=1)
    monkey = Monkey([world.role("scheduler"), world.role("scheduler-2")], world.seed, working, aim=aim)
    async with asyncio.TaskGroup() as group, asyncio.timeout(TIMEOUT):
        group.create_task(monkey.run())
        while (before := await reader.pulls()) < PULLS:
            await vendor.again()
            await until(reader.pulls, "pulls", at_least=before + 1)
        enough = True
        monkey.stop()
    await reader.require_agreement(vendor)
    world.notes.append(f"{await reader.pulls()} pulls published, killed: {dict(monkey.kills)}")


async def _amid_a_pull(vendor: Restating, chance: Random) -> None:
    """Wait until the vendor was asked, and then for less than it takes until what it answers is in the log."""
    before = await vendor.asked()
    for _ in range(LOOKS):
        if await vendor.asked() > before:
            break
        await asyncio.sleep(LOOK_SECONDS)
    await asyncio.sleep(chance.uniform(0, LONGEST_PULL))


async def _owner(world: World) -> Role:
    """Return the scheduler that pulls."""
    roles = [world.role("scheduler"), world.role("scheduler-2")]
    before = [_pulled(role) for role in roles]

    async def pulled() -> int:
        return sum(map(_pulled, roles))

    await progress(pulled, "pulls", unless=lambda: False)
    return next(role for role, pulled in zip(roles, before, strict=True) if _pulled(role) > pulled)


def _pulled(role: Role) -> int:
    return role.log.read_bytes().count(b'"event":"pull"')


@pytest.mark.kafka
async def test_on_kafka_the_owner_is_killed_and_the_other_takes_over(
    make_world: Callable[..., World], kafka: RunningKafka, session: aiohttp.ClientSession
) -> None:
    world = make_world(shop_names("acme"), Log(kafka.bootstrap_servers))
    export = configure(world)
    await asyncio.to_thread(world.start, "sandbox", "scheduler", "scheduler-2")
    vendor = Restating(world, session)
    async with world.broker() as broker:
        reader = Reader(broker, export)
        async with reader.reading():
            await until(reader.pulls, "the first pull", at_least=1)
            owner = await _owner(world)
            await _amid_a_pull(vendor, Random(world.seed))  # noqa: S311 - chances that can be repeated
            await asyncio.to_thread(owner.kill)
            await reader.require_agreement(vendor)
        await _require_promises_kept(vendor, reader, pulls=2)


@pytest.mark.kafka
@pytest.mark.skipif(SHORT, reason="Kafka takes 6 s to miss whoever is killed: make chaos")
async def test_on_kafka(make_world: Callable[..., World], kafka: RunningKafka, session: aiohttp.ClientSession) -> None:
    await _survive(make_world(shop_names("acme"), Log(kafka.bootstrap_servers)), session)


async def test_on_the_embedded_log(make_world: Callable[..., World], session: aiohttp.ClientSession) -> None:
    await _survive(make_world(shop_names("acme")), session)
