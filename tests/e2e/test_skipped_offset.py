"""An offset that is passed by on purpose shows in the audit, and stays there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from broker.interface import Commit, RebalanceListener
from schemas.topics import FORWARDER_GROUP, events_topic
from tests.chaos.verdict import settled
from tests.e2e.storefront import DEADLINE, Storefront, arrived, event

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import aiohttp

    from broker.interface import Assignment, Broker, TopicPartition
    from tests.chaos.upstream import Upstream
    from tests.chaos.world import World


class _Owner(RebalanceListener):
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.owned: dict[TopicPartition, Assignment] = {}

    async def assigned(self, assignments: Sequence[Assignment]) -> None:
        self.owned = {each.partition: each for each in assignments}

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        self.owned = {each: owned for each, owned in self.owned.items() if each not in partitions}


async def _skip_one(broker: Broker, topic: str) -> None:
    """Commit the place after the next waiting record of `topic`, in the forwarder's name, with the tally that was there before."""
    owner = _Owner()
    subscription = await broker.subscribe(FORWARDER_GROUP, [topic], owner)
    try:
        async with asyncio.timeout(DEADLINE):
            while not owner.owned:
                await subscription.poll(0.1, ())
        waiting = next(each for each in owner.owned.values() if each.commit and each.log.end > each.commit.offset)
        assert waiting.commit is not None
        await subscription.commit({waiting.partition: Commit(waiting.commit.offset + 1, waiting.commit.metadata)})
    finally:
        await subscription.close()


async def test_a_skipped_offset_is_unaccounted_for(
    world: World, upstream: Upstream, session: aiohttp.ClientSession
) -> None:
    storefront = Storefront(world, world.shop("skipped"), session)
    shop = storefront.shop
    assert (await storefront.track(event(0, "ada"))).status == 200
    await arrived(upstream, shop, 1)
    before = await settled(world)
    assert before.balances[shop.name].delivered == 1
    assert before.balances[shop.name].unaccounted == 0

    assert await asyncio.to_thread(world.role("forwarder").terminate) == 0
    assert (await storefront.batch(event(1, "ada"), event(2, "ada"))).body == {"ok": True, "accepted": 2}
    async with world.broker() as broker:
        await _skip_one(broker, events_topic(shop.name))
    await asyncio.to_thread(world.start, "forwarder")

    assert [each.number for each in await arrived(upstream, shop, 2)] == [0, 2]
    audit = await settled(world)
    balance = audit.balances[shop.name]
    assert (balance.accepted, balance.delivered, balance.dead_lettered, balance.unaccounted) == (3, 2, 0, 1)
    assert audit.code == 1
