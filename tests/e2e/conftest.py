from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.chaos.configuration import Log
from tests.chaos.fixtures import SEED, ended, make_world, session
from tests.chaos.length import shop_names
from tests.chaos.upstream import Upstream
from tests.chaos.weather import calm
from tests.chaos.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    import aiohttp

__all__ = ["make_world", "session"]

ROLES = ("sandbox", "gateway", "forwarder")
SHOPS = ("large", "skipped", "drained", "ended", "broken", "down", "well")
"""Each test has a storefront of its own, so that they may share a world."""


@pytest.fixture(scope="session", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def shared_world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One gateway, one forwarder and one sandbox, each a process, on one of the two brokers."""
    log = Log() if request.param == "embedded" else Log(request.getfixturevalue("kafka").bootstrap_servers)
    folder = tmp_path_factory.mktemp("e2e") / request.param
    with ended(World(folder, shop_names(*SHOPS), log=log, seed=SEED), request) as world:
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
