"""Nothing is answered as accepted before it is on stable storage: not even when that takes long, and the gateway dies meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import aiohttp
import pytest

from schemas.topics import events_topic
from tests.e2e.storefront import Storefront, arrived, event

if TYPE_CHECKING:
    from tests.chaos.upstream import Upstream
    from tests.chaos.world import World

PATIENCE_SECONDS = 1.0


@pytest.mark.parametrize("shared_world", ["embedded"], indirect=True)
async def test_an_event_that_cannot_be_written_is_not_accepted(
    world: World, upstream: Upstream, session: aiohttp.ClientSession
) -> None:
    storefront = Storefront(world, world.shop("durable"), session)
    assert (await storefront.track(event(0, "ada"))).status == 200
    (log,) = world.data.glob("events.db")
    with closing(sqlite3.connect(log, isolation_level=None)) as somebody:
        somebody.execute("begin immediate")
        waiting = asyncio.ensure_future(storefront.track(event(1, "ada")))
        done, _ = await asyncio.wait([waiting], timeout=PATIENCE_SECONDS)
        assert not done, f"answered {waiting.result()} while nobody could write"
        await asyncio.to_thread(world.role("gateway").kill)
        with pytest.raises(aiohttp.ClientError):
            await waiting
        somebody.execute("rollback")
    await asyncio.to_thread(world.start, "gateway")
    assert (await storefront.track(event(2, "ada"))).status == 200
    assert [each.number for each in await arrived(upstream, storefront.shop, 2)] == [0, 2]
    async with world.broker() as broker:
        assert len([each async for each in broker.read(events_topic(storefront.shop.name))]) == 2
