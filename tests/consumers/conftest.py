"""What the forwarder's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.consumers.sink import Sink, sinking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with sinking() as sink:
        yield sink
