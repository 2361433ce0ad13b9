"""A gateway of two processes: one port, one order for each key, one page of metrics; one of them dies and is started again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psutil

from tests.chaos.configuration import Log
from tests.chaos.fixtures import world_of
from tests.chaos.length import shop_names
from tests.chaos.monkey import progress
from tests.chaos.traffic import Traffic
from tests.chaos.upstream import Upstream
from tests.chaos.verdict import require_promises_kept
from tests.chaos.weather import calm
from tests.e2e.storefront import until

if TYPE_CHECKING:
    import aiohttp
    import pytest

    from tests.chaos.role import Role

WORKERS = 2
EVENTS = 1_500
PER_SECOND = 500
COUNTED = "sluice_gateway_events"


async def test_two_workers_are_one_gateway(
    request: pytest.FixtureRequest, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_GATEWAY__WORKERS", str(WORKERS))
    with world_of("workers", request, shop_names("acme"), Log()) as world:
        await asyncio.to_thread(world.start, "sandbox", "gateway", "forwarder")
        gateway = world.role("gateway")
        upstream = Upstream(world, session)
        await upstream.set(calm())
        first = Traffic(world, EVENTS, PER_SECOND)

        async def acknowledged() -> int:
            return first.acknowledged

        async with asyncio.TaskGroup() as group:
            group.create_task(first.run())
            await progress(acknowledged, "gateway", unless=lambda: first.finished)
            before = workers(gateway)
            before[0].kill()

            async def started_again() -> bool:
                return len(workers(gateway)) == WORKERS

            await until(started_again, "the worker is started again")
        await require_promises_kept(world, upstream, first.ledgers)
        assert first.acknowledged > EVENTS / 2
        assert set(workers(gateway)) & set(before) == {before[1]}, "the other was let alone"
        assert await asyncio.to_thread(gateway.terminate) == 0
        assert not any(worker.is_running() for worker in before)
        gateway.start()
        await asyncio.to_thread(gateway.wait_ready)
        second = Traffic(world, EVENTS, PER_SECOND)
        await second.run()

        async def counted() -> bool:
            return await asyncio.to_thread(gateway.gauge, COUNTED) == second.sent

        await until(counted, "each event is counted, by one of them")


def workers(gateway: Role) -> list[psutil.Process]:
    return psutil.Process(gateway.process.pid).children()
