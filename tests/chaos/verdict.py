"""From a world at work to a verdict: wait until everything is settled, gather the evidence, ask the oracle."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import orjson

from schemas.topics import DEAD_LETTERS, REJECTED, events_topic
from tests.chaos.oracle import Evidence, judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.interface import Broker
    from tests.chaos.ledger import Ledger
    from tests.chaos.upstream import Upstream
    from tests.chaos.world import Audit, World

DRAIN_SECONDS = 90.0


async def settled(world: World, seconds: float = DRAIN_SECONDS) -> Audit:
    """Return the audit at which nothing waits any more."""
    deadline = time.monotonic() + seconds
    while (audit := await world.audit()).waiting:
        assert time.monotonic() < deadline, f"after {seconds:g} s still waiting: {audit}; logs: {world.logs}"
        await asyncio.sleep(0.2)
    return audit


async def require_promises_kept(world: World, upstream: Upstream, ledgers: Mapping[str, Ledger]) -> Audit:
    """Wait until nothing waits, then hold everything that was sent against everything that can be found.

    Raises AssertionError with the seed, the broken promises and where the logs are. Returns the final audit.
    """
    audit = await settled(world)
    found: list[str] = []
    arrived = 0
    async with world.broker() as broker:
        rejected = await _numbers_by_storefront(broker, REJECTED)
        dead = await _numbers_by_storefront(broker, DEAD_LETTERS)
        for name, ledger in ledgers.items():
            evidence = Evidence(
                await upstream.arrivals(ledger.shop),
                [_number(record.value) async for record in broker.read(events_topic(name))],
                rejected[name],
                dead[name],
                await upstream.overview(ledger.shop),
                audit.balances[name],
            )
            arrived += len(evidence.arrivals)
            found += [f"{name}: {fault}" for fault in judge(ledger, evidence)]
    acknowledged = sum(ledger.acknowledged for ledger in ledgers.values())
    world.notes.append(f"{arrived:,} arrivals of {acknowledged:,} acknowledged events")
    assert not found, "\n".join([f"promises broken (CHAOS_SEED={world.seed}, logs: {world.logs})", *found])
    return audit


async def _numbers_by_storefront(broker: Broker, topic: str) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = defaultdict(list)
    async for record in broker.read(topic):
        storefront = dict(record.headers).get("storefront")
        # A record that settles a dead letter bears none; another test's may stand in a shared log.
        if storefront is not None:
            numbers[storefront.decode()].append(_number(record.value))
    return numbers


def _number(value: bytes | None) -> int:
    """Return the number that an event carries; -1 when it carries none, as what is in `ecommerce.rejected` need not."""
    try:
        return int(orjson.loads(value or b"{}")["properties"]["n"])
    except (KeyError, TypeError, ValueError):
        return -1
