"""What the forwarder's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.settings import BrokerSettings
from tests.consumers.sink import Sink, sinking
from tests.consumers.town import Builder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with sinking() as sink:
        yield sink


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
async def builder(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Builder]:
    """Towns on a log of their own: a fresh directory, or the Kafka that the whole run shares."""
    if request.param == "embedded":
        settings = BrokerSettings(kind="embedded", path=str(tmp_path / "log"))
    else:
        kafka = request.getfixturevalue("kafka")
        settings = BrokerSettings(kind="kafka", bootstrap_servers=kafka.bootstrap_servers, replication_factor=1)
    async with Builder(settings) as builder:
        yield builder
