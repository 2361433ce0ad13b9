from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.chaos.configuration import Log
from tests.chaos.fixtures import session, world_of
from tests.chaos.length import shop_names
from tests.chaos.upstream import Upstream
from tests.chaos.weather import calm

if TYPE_CHECKING:
    from collections.abc import Iterator

    import aiohttp

    from tests.chaos.world import World

__all__ = ["session"]

ROLES = ("sandbox", "gateway", "forwarder")
SHOPS = ("large", "skipped", "drained", "ended", "durable", "broken", "down", "well")
"""Each test has a storefront of its own, so that they may share a world."""


@pytest.fixture(scope="session", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def shared_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """One gateway, one forwarder and one sandbox, each a process, on one of the two brokers."""
    log = Log() if request.param == "embedded" else Log(request.getfixturevalue("kafka").bootstrap_servers)
    with world_of(f"e2e-{request.param}", request, shop_names(*SHOPS), log) as world:
        yield world


@pytest.fixture
async def world(shared_world: World) -> World:
    """The shared world with every role ready."""
    for name in ROLES:
        if not shared_world.role(name).running:
            shared_world.role(name).start()
    for name in ROLES:
        await asyncio.to_thread(shared_world.role(name).wait_ready)
    return shared_world


@pytest.fixture
async def upstream(world: World, session: aiohttp.ClientSession) -> Upstream:
    """Its ingestion API, without faults."""
    upstream = Upstream(world, session)
    await upstream.set(calm())
    return upstream
