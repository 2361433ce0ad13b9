from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from broker.embedded.broker import EmbeddedBroker
from broker.interface import Unavailable
from consumers.service import topics
from runtime.settings import BrokerSettings, IngestionSettings, Settings, StorefrontSettings
from tests.broker.waiting import eventually
from tests.consumers.town import Builder

if TYPE_CHECKING:
    from pathlib import Path


def shop(name: str) -> StorefrontSettings:
    ingestion = IngestionSettings(url="http://127.0.0.1:1", api_key=SecretStr("tolk_sec_x"))
    return StorefrontSettings(name=name, publishable_keys=[SecretStr(f"tolk_pub_{name}")], ingestion=ingestion)


def test_a_forwarder_needs_its_storefronts_topics_and_the_dead_letters() -> None:
    names = [spec.name for spec in topics(Settings(storefronts=[shop("acme"), shop("beta")]))]
    assert names == ["ecommerce.events.acme", "ecommerce.events.beta", "ecommerce.dead-letters", "commands"]


@pytest.mark.parametrize("call", ["publisher", "partitions", "read", "subscribe"])
async def test_a_broker_that_goes_away_before_the_group_is_joined_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr("broker.startup.FIRST_WAIT_SECONDS", 0.01)
    async with Builder(BrokerSettings(kind="embedded", path=str(tmp_path / "log"))) as builder:
        town = await builder.town()
        await town.accept("a1")
        there, does = asyncio.Event(), getattr(EmbeddedBroker, call)

        def away(broker: EmbeddedBroker, *arguments: object, **named: object) -> object:
            if not there.is_set():
                raise Unavailable("it is away")
            return does(broker, *arguments, **named)

        monkeypatch.setattr(EmbeddedBroker, call, away)
        async with town.forwarder() as forwarding:
            await eventually(lambda: forwarding.reasons().get("broker") == "it is away", "readiness says why")
            assert not forwarding.task.done()
            there.set()
            await eventually(lambda: town.sink.names == [["a1"]], "the event arrives")
            await eventually(lambda: not forwarding.reasons(), "readiness is green")
