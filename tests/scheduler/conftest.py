"""What the scheduler's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scheduler.exchange import vendor_session
from tests.scheduler.far_side import FarSide, listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp


@pytest.fixture
async def far_side() -> AsyncIterator[FarSide]:
    """A vendor that answers as it is told."""
    async with listening() as far_side:
        yield far_side


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """The session that all accounts share."""
    async with vendor_session() as session:
        yield session
