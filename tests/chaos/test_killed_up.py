"""The whole of `sluice up` is killed and restarted again and again, the vendors' stand-in with it; sometimes only the
supervisor, whose roles must then end by themselves.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.chaos.exports import Reader, Restating, configure
from tests.chaos.length import EVENTS, SHORT, TIMEOUT, rate, shop_names
from tests.chaos.monkey import Monkey, progress, ride_out, until
from tests.chaos.traffic import Traffic
from tests.chaos.upstream import Upstream
from tests.chaos.verdict import require_promises_kept
from tests.chaos.weather import calm, storm

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from tests.chaos.role import Role
    from tests.chaos.world import World

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(TIMEOUT)]


async def test_the_whole_is_killed(make_world: Callable[..., World], session: aiohttp.ClientSession) -> None:
    world = make_world(shop_names("acme", "beta"))
    export = configure(world)
    await asyncio.to_thread(world.start, "up")
    upstream, vendor = Upstream(world, session), Restating(world, session)
    await upstream.set(storm(world.seed))
    # Half of the time nothing of it is there.
    traffic = Traffic(world, EVENTS, 2 * rate())

    async def arrived() -> int:
        return sum([await upstream.count(shop) for shop in world.shops.values()])

    async def working(_: Role) -> None:
        # The faults went with the process that had them, and what the vendor had restated.
        await upstream.set(storm(world.seed))
        await vendor.again()
        await progress(arrived, "sluice up", unless=lambda: traffic.finished)

    monkey = Monkey([world.role("up")], world.seed, working)
    async with world.broker() as broker:
        reader = Reader(broker, export)
        async with reader.reading():
            await until(reader.pulls, "the first pull", at_least=1)
            await ride_out(traffic, monkey)
            await upstream.set(calm())
            await reader.require_agreement(vendor)
        await reader.require_no_gap()
    reader.require_whole_pulls(at_least=2)
    reader.require_each_revision_once()
    world.notes += [traffic.summary(), f"killed: {dict(monkey.kills)}"]
    audit = await require_promises_kept(world, upstream, traffic.ledgers)
    assert audit.code == 0
    assert traffic.acknowledged > EVENTS / 2
    assert monkey.kills["up"] >= 2
    # A kill cuts off what is in flight; in the short run there may be just then nothing.
    assert SHORT or traffic.answers("none") > 0
    assert await asyncio.to_thread(world.role("up").terminate) == 0
