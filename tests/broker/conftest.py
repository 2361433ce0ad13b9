"""The two implementations that one contract suite holds to the same promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from blockbuster import blockbuster_ctx

from runtime.settings import BrokerSettings
from tests.broker.backend import Backend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from broker.interface import Broker


@pytest.fixture(autouse=True)
def _nothing_blocks() -> Iterator[None]:
    """A call out of the broker that blocks the event loop fails the test."""
    with blockbuster_ctx("broker"):
        yield


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker_settings(request: pytest.FixtureRequest, tmp_path: Path) -> BrokerSettings:
    """Where the log is: a fresh directory, or the Kafka that the whole run shares."""
    if request.param == "embedded":
        return BrokerSettings(kind="embedded", path=str(tmp_path / "log"))
    kafka = request.getfixturevalue("kafka")
    return BrokerSettings(kind="kafka", bootstrap_servers=kafka.bootstrap_servers, replication_factor=1)


@pytest.fixture
async def backend(broker_settings: BrokerSettings) -> AsyncIterator[Backend]:
    """The log under test."""
    backend = Backend(broker_settings)
    yield backend
    await backend.close()


@pytest.fixture
async def broker(backend: Backend) -> Broker:
    """One started broker on the log under test; `backend.open()` gives more."""
    return await backend.open()
