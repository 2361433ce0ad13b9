"""A new configuration, while requests come and go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from aiohttp import web
from pydantic import SecretStr

from broker.interface import Unavailable
from broker.spool.spool import Spool
from broker.startup import MissingTopics
from gateway.configured import PINS, topics
from runtime.clock import ManualClock, SystemClock
from runtime.health import Health
from runtime.metrics import Metrics
from runtime.process import Process
from runtime.settings import GatewaySettings, Settings
from schemas.topics import events_topic
from tests.gateway.conftest import BATCH, PARTITIONS, PUBLISHABLE, TRACK, RecordingPublisher, Topics, build, storefront
from tests.gateway.vendor import OVERVIEW, send, serving, shop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from runtime.settings import StorefrontSettings
    from tests.gateway.conftest import Gateway
    from tests.gateway.vendor import Vendor

VIEW = {"event_type": "view_cart"}
ROTATED = "tolk_pub_rotated"


def rotated(**more: Any) -> StorefrontSettings:
    return storefront("acme", **more).model_copy(update={"publishable_keys": [SecretStr(ROTATED)]})


async def reload(gateway: Gateway, *storefronts: StorefrontSettings, **changed: Any) -> None:
    """Let it take over a configuration, as the process does when it is sent SIGHUP."""
    assert gateway.process.taker is not None
    await gateway.process.taker(Settings(storefronts=list(storefronts), gateway=GatewaySettings(**changed)))


async def status(gateway: Gateway, key: str = PUBLISHABLE, **headers: str) -> int:
    return (await gateway.post(TRACK, VIEW, key=key, headers=headers)).status


async def test_a_new_key_works_and_the_old_one_no_longer(gateway: Gateway) -> None:
    assert [await status(gateway) for _ in range(3)] == [200] * 3
    assert await status(gateway, ROTATED) == 401

    await reload(gateway, rotated())
    assert [await status(gateway, ROTATED) for _ in range(3)] == [200] * 3
    assert await status(gateway) == 401, "also on a connection on which it was good"


async def test_a_storefront_comes_and_another_goes(gateway: Gateway) -> None:
    await reload(gateway, storefront("beta"))
    assert await status(gateway, "tolk_pub_beta") == 200
    assert [each.topic for each in gateway.publisher.published] == [events_topic("beta")]
    assert gateway.metric("sluice_gateway_events_total", storefront="beta", event_type="refund", result="refused") == 0
    assert await status(gateway) == 401


async def test_origins_change(start: Callable[..., Awaitable[Gateway]]) -> None:
    old, new = "https://old.example", "https://new.example"
    gateway = await start(storefront("acme", origins=[old]))
    assert (await status(gateway, Origin=old), await status(gateway, Origin=new)) == (200, 403)

    await reload(gateway, storefront("acme", origins=[new]))
    assert (await status(gateway, Origin=old), await status(gateway, Origin=new)) == (403, 200)


async def test_an_unchanged_limit_keeps_its_bucket_and_a_changed_one_begins_full(
    start: Callable[..., Awaitable[Gateway]],
) -> None:
    limit = 100
    gateway = await start(storefront("acme", events_per_second=limit))
    full = {"events": [VIEW] * limit}
    assert (await gateway.post(BATCH, full)).status == 200
    assert await status(gateway) == 429

    await reload(gateway, storefront("acme", events_per_second=limit))
    assert await status(gateway) == 429
    await reload(gateway, storefront("acme", events_per_second=limit + 1))
    assert (await gateway.post(BATCH, full)).status == 200
    await reload(gateway, storefront("acme"))
    assert (await gateway.post(BATCH, full)).status == 200


async def test_limits_of_a_request_change(gateway: Gateway) -> None:
    two = {"events": [VIEW] * 2}
    assert (await gateway.post(BATCH, two)).status == 200
    await reload(gateway, storefront("acme"), max_batch_events=1)
    assert (await gateway.post(BATCH, two)).status == 400


async def test_a_request_under_way_ends_well_and_its_key_is_gone_afterwards(gateway: Gateway) -> None:
    gateway.publisher.held = []
    async with asyncio.TaskGroup() as group:
        under_way = group.create_task(status(gateway))
        (acknowledgement,) = await gateway.publisher.hold(1)
        await reload(gateway, rotated())
        gateway.publisher.held = None
        acknowledgement.set_result(None)
    assert under_way.result() == 200
    assert [await status(gateway) for _ in range(2)] == [401] * 2


async def test_what_is_passed_through_goes_to_the_new_upstream_and_what_is_under_way_ends(
    start: Callable[..., Awaitable[Gateway]], vendor: Vendor
) -> None:
    go_on = asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first ")
        await go_on.wait()
        await response.write(b"last")
        return response

    vendor.answer = slow
    gateway = await start(shop(vendor.url))
    async with serving() as moved, asyncio.TaskGroup() as group:
        under_way = group.create_task(send(gateway, "GET", OVERVIEW))
        await vendor.arrived.wait()
        await reload(gateway, shop(moved.url))
        assert (await send(gateway, "GET", OVERVIEW))[0] == 200
        assert len(moved.asked) == 1
        go_on.set()
    assert under_way.result()[:2] == (200, b"first last")
    assert len(vendor.asked) == 1


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ensure_topics(*_: Any, **__: Any) -> Any:
        raise Unavailable("the broker is away")

    monkeypatch.setattr(Topics, "ensure_topics", ensure_topics)


@pytest.mark.usefixtures("away")
async def test_keys_change_while_the_broker_is_away_but_no_storefront_comes(gateway: Gateway) -> None:
    await reload(gateway, rotated())
    assert (await status(gateway, ROTATED), await status(gateway)) == (200, 401)

    with pytest.raises(Unavailable):
        await reload(gateway, storefront("acme"), storefront("beta"))
    assert (await status(gateway, ROTATED), await status(gateway)) == (200, 401), "all of it is refused"


async def test_a_missing_topic_that_must_not_be_created_is_refused(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ensure_topics(_: object, specs: Any, **__: object) -> Any:
        raise MissingTopics(f"topics are missing: {specs[-2].name}")

    monkeypatch.setattr(Topics, "ensure_topics", ensure_topics)
    with pytest.raises(MissingTopics, match=r"events\.beta"):
        await reload(gateway, rotated(), storefront("beta"))
    assert await status(gateway) == 200


async def test_a_new_storefront_has_lanes_in_the_spool(tmp_path: Path) -> None:
    before, after = (
        Settings(storefronts=[storefront(name) for name in names]) for names in (["acme"], ["acme", "beta"])
    )
    process = Process(
        "gateway", log=structlog.get_logger(), metrics=Metrics(), health=Health(), clock=ManualClock(), drain_seconds=2
    )
    spool = Spool(str(tmp_path / "spool"), 1 << 30, process.metrics, process.log, SystemClock())
    await spool.start({each.name: PARTITIONS for each in topics(before)})
    await build(before, process, Topics(), RecordingPublisher(), spool=spool)
    assert process.taker is not None
    await process.taker(after)
    await spool.append(events_topic("beta"), PARTITIONS - 1, [(b"key", b"{}", [])])
    assert spool.state(events_topic("beta"), PARTITIONS - 1)
    await spool.close()


def test_what_needs_a_restart() -> None:
    assert {"broker.kind", "broker.bootstrap_servers", "broker.sasl_plain_password", "gateway.port"} <= {*PINS}
    assert not {"broker.partitions", "broker.create_topics", "gateway.max_batch_events"} & {*PINS}
