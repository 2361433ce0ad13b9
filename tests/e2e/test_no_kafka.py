"""A gateway that starts without its Kafka waits for it: alive, not ready, refusing, easily ended. Its spool is its own meanwhile."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

from tests.chaos.configuration import Log
from tests.chaos.fixtures import world_of
from tests.chaos.length import shop_names
from tests.e2e.storefront import Storefront, event, until
from tests.e2e.test_workers import workers
from tests.kafka.ports import free_ports

if TYPE_CHECKING:
    import aiohttp
    import pytest

    from tests.chaos.role import Role

AT_ONCE_SECONDS = 8.0
"""Less than a drain that waits for something in vain (10 s here); on a busy machine processes take seconds to end."""


async def ended_at_once(gateway: Role) -> bool:
    asked = time.monotonic()
    assert await asyncio.to_thread(gateway.terminate) == 0
    return time.monotonic() - asked < AT_ONCE_SECONDS


async def test_where_nobody_listens(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, session: aiohttp.ClientSession
) -> None:
    monkeypatch.setenv("SLUICE_GATEWAY__WORKERS", "2")
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with world_of("no-kafka", request, shop_names("acme"), Log(address)) as world:
        gateway, second = world.role("gateway"), world.role("gateway-2")
        gateway.start()

        async def told() -> bool:
            return f"{address}: Connection refused" in str(await asyncio.to_thread(gateway.unready))

        await until(told, "readiness names the broker")
        second.start()
        assert await asyncio.to_thread(second.wait_end) == 1
        refusal = f"is another gateway's (process {gateway.process.pid}, or workers that it left behind): end that one"
        assert refusal in second.tail()
        refused = await Storefront(world, world.shop("acme"), session).track(event(1, "ada"))
        assert (refused.status, refused.body["code"]) == (503, "NOT_DURABLE"), "by a worker that waits"
        before = set(workers(gateway))
        before.copy().pop().kill()

        async def started_again() -> bool:
            return len(workers(gateway)) == len(before) and set(workers(gateway)) != before

        await until(started_again, "a worker that was killed while it waited is started again")
        gateway.require_alive()
        assert await ended_at_once(gateway)


async def test_where_nobody_answers(request: pytest.FixtureRequest) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        world_of("no-kafka", request, shop_names("acme"), Log(f"127.0.0.1:{silent.getsockname()[1]}")) as world,
    ):
        gateway = world.role("gateway")
        gateway.start()

        async def told() -> bool:
            return "broker" in await asyncio.to_thread(gateway.unready)

        await until(told, "readiness tells of the broker")
        assert await ended_at_once(gateway)
