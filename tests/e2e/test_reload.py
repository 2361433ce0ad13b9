"""SIGHUP to every role, as real processes: a faulty file changes nothing, a good one is in force without an event lost."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from tests.chaos.client import TRACK
from tests.chaos.configuration import Log, Shop, write
from tests.chaos.fixtures import world_of
from tests.chaos.length import shop_names
from tests.chaos.upstream import Upstream
from tests.e2e.storefront import Storefront, arrived, event, until

if TYPE_CHECKING:
    from collections.abc import Sequence

    import aiohttp
    import pytest

    from tests.chaos.world import World

ROLES = ("sandbox", "gateway", "forwarder")
WORKERS = 2
SUCCESSFUL = "sluice_config_last_reload_successful"
ROTATED = "tolk_pub_rotated"


async def test_every_role_takes_a_configuration_over_unless_it_is_faulty(
    request: pytest.FixtureRequest, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_GATEWAY__WORKERS", str(WORKERS))
    with world_of("reload", request, shop_names("acme"), Log()) as world:
        acme, beta = world.shop("acme"), Shop(*shop_names("beta"))
        configure(world, [acme], key=acme.publishable_key)
        await asyncio.to_thread(world.start, *ROLES)
        shop = Storefront(world, acme, session)
        assert (await shop.track(event(0, "ada"))).status == 200

        with world.config.open("a") as file:
            file.write("nonsense = 1\n")
        world.role("gateway").signal(signal.SIGHUP)
        await says(world, 0)
        assert "nonsense: unknown key" in world.role("gateway").log.read_text()
        assert (await shop.track(event(1, "ada"))).status == 200

        configure(world, [acme, beta], key=ROTATED)
        for name in ROLES:
            world.role(name).signal(signal.SIGHUP)
        await logged(world, "gateway", "configuration taken over", WORKERS + 1)
        await says(world, 1)
        assert [(await shop.track(event(2, "ada"))).status for _ in range(4)] == [401] * 4
        assert (await shop.post(TRACK, event(2, "ada"), X_API_Key=ROTATED)).status == 200
        new = Storefront(world, beta, session)
        assert (await new.track(event(0, "ada"))).status == 200

        for name in ("sandbox", "forwarder"):
            await logged(world, name, "started", 2)
        upstream = Upstream(world, session)
        assert [each.number for each in await arrived(upstream, acme, 3)] == [0, 1, 2]
        assert [each.number for each in await arrived(upstream, beta, 1)] == [0]
        for name in reversed(ROLES):
            assert await asyncio.to_thread(world.role(name).terminate) == 0


def configure(world: World, shops: Sequence[Shop], *, key: str) -> None:
    """Write the configuration anew; the first shop's publishable key stands in a file of its own."""
    secret = world.config.with_name("key")
    secret.write_text(key + "\n")
    write(world.config, log=Log(), ports=world.ports, shops=shops, data=world.data, partitions=3)
    configured = world.config.read_text().replace(f'"{shops[0].publishable_key}"', f'"file:{secret}"')
    world.config.write_text(configured)


async def says(world: World, successful: float) -> None:
    async def so() -> bool:
        return await asyncio.to_thread(world.role("gateway").gauge, SUCCESSFUL) == successful

    await until(so, f"{SUCCESSFUL} {successful}")


async def logged(world: World, role: str, text: str, times: int) -> None:
    async def so() -> bool:
        return world.role(role).log.read_text().count(f'"event":"{text}"') >= times

    await until(so, f"{role}: {text}, {times} times")
