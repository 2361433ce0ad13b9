"""A storefront whose ingestion API is down delays no other, and loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.weather import calm, outage
from tests.e2e.storefront import Storefront, arrived, event, until

if TYPE_CHECKING:
    import aiohttp

    from tests.chaos.upstream import Upstream
    from tests.chaos.world import World

EVENTS = 500
SOON_SECONDS = 5.0
"""Far below the shortest time in which anything of an outage ends."""


async def test_one_storefront_is_down_and_the_other_is_served(
    world: World, upstream: Upstream, session: aiohttp.ClientSession
) -> None:
    down = Storefront(world, world.shop("down"), session)
    well = Storefront(world, world.shop("well"), session)
    await upstream.set(outage(down.shop.name))
    for first in range(0, EVENTS, 100):
        texts = [event(number, f"user-{number % 7}") for number in range(first, first + 100)]
        for storefront in (down, well):
            assert (await storefront.batch(*texts)).body == {"ok": True, "accepted": 100}

    delivered = await arrived(upstream, well.shop, EVENTS, SOON_SECONDS)
    assert {each.number for each in delivered} == set(range(EVENTS))

    async def failing() -> bool:
        return (await upstream.faults_applied())["reset"] >= 3

    await until(failing, "the other's requests fail again and again")
    assert await upstream.count(down.shop) == 0
    audit = await world.audit()
    assert audit.balances[down.shop.name].waiting == EVENTS
    assert audit.balances[well.shop.name].unaccounted == audit.balances[down.shop.name].unaccounted == 0

    await upstream.set(calm())
    delivered = await arrived(upstream, down.shop, EVENTS)
    for user in range(7):
        own = [each.number for each in delivered if each.number is not None and each.number % 7 == user]
        assert own == sorted(own)
    assert {each.number for each in delivered} == set(range(EVENTS))
