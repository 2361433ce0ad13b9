"""The gateway's process says on its admin port what it speaks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.chaos.client import BATCH, TRACK

if TYPE_CHECKING:
    from tests.chaos.world import World


@pytest.mark.parametrize("shared_world", ["embedded"], indirect=True)
async def test_the_openapi_document_is_on_the_admin_port(world: World) -> None:
    document = orjson.loads(await asyncio.to_thread(world.role("gateway")._admin, "/openapi.json"))
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": f"http://127.0.0.1:{world.ports.gateway}"}]
    assert {TRACK, BATCH} <= document["paths"].keys()
