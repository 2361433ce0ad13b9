"""SIGTERM under load: exit code 0, and everything that was answered is delivered. A second signal ends at once."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import pytest

from sandbox.faults.rules import FaultPlan, Hang
from tests.chaos.client import TRACK
from tests.chaos.monkey import progress
from tests.chaos.traffic import Traffic
from tests.chaos.verdict import require_promises_kept
from tests.chaos.weather import calm
from tests.e2e.storefront import Storefront, arrived, event, until

if TYPE_CHECKING:
    import aiohttp

    from tests.chaos.role import Role
    from tests.chaos.upstream import Upstream
    from tests.chaos.world import World

EVENTS = 1_500
PER_SECOND = 500
AT_ONCE_SECONDS = 2.0


async def test_nothing_is_lost_when_roles_are_asked_to_end_under_load(world: World, upstream: Upstream) -> None:
    shop = world.shop("drained")
    traffic = Traffic(world, EVENTS, PER_SECOND, [shop])

    async def acknowledged() -> int:
        return traffic.acknowledged

    async with asyncio.TaskGroup() as group:
        group.create_task(traffic.run())
        for name in ("gateway", "forwarder"):
            await progress(acknowledged, name, unless=lambda: traffic.finished)
            assert await asyncio.to_thread(world.role(name).terminate) == 0
            world.role(name).start()
    await asyncio.to_thread(world.role("forwarder").wait_ready)
    await require_promises_kept(world, upstream, traffic.ledgers)
    assert traffic.acknowledged > EVENTS / 2


async def _end_at_once(role: Role) -> None:
    """Ask once, and when the role is draining, again."""
    role.signal(signal.SIGTERM)

    async def draining() -> bool:
        return bool(await asyncio.to_thread(role.unready))

    await until(draining, f"{role.name} drains")
    assert role.running
    asked = time.monotonic()
    role.signal(signal.SIGTERM)
    assert await asyncio.to_thread(role.wait_end) == 128 + signal.SIGTERM
    assert time.monotonic() - asked < AT_ONCE_SECONDS


@pytest.mark.parametrize("shared_world", ["embedded"], indirect=True)
async def test_a_second_signal_ends_a_draining_role_at_once(
    world: World, upstream: Upstream, session: aiohttp.ClientSession
) -> None:
    storefront = Storefront(world, world.shop("ended"), session)
    before = await upstream.count(storefront.shop)

    # A request that never ends keeps the gateway from ending.
    _, writer = await asyncio.open_connection("127.0.0.1", world.ports.gateway)
    head = (
        f"POST {TRACK} HTTP/1.1\r\nHost: x\r\nX-API-Key: {storefront.shop.publishable_key}\r\nContent-Length: 9\r\n\r\n"
    )
    writer.write(head.encode())
    await writer.drain()
    await _end_at_once(world.role("gateway"))
    writer.close()
    await asyncio.to_thread(world.start, "gateway")

    # An answer that never comes keeps the forwarder.
    await upstream.set(FaultPlan(rules=[Hang(appspace=storefront.shop.name)]))
    assert (await storefront.track(event(-1, "ada"))).status == 200

    async def hangs() -> bool:
        return sum((await upstream.faults_applied()).values()) > 0

    await until(hangs, "a request hangs")
    await _end_at_once(world.role("forwarder"))
    await upstream.set(calm())
    await asyncio.to_thread(world.start, "forwarder")
    assert (await arrived(upstream, storefront.shop, before + 1))[-1].number == -1
