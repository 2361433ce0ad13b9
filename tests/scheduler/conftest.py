"""What the scheduler's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scheduler.exchange import vendor_session
from tests.scheduler.far_side import FarSide, listening
from tests.scheduler.shop import Shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

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


@pytest.fixture
def shop(far_side: FarSide, session: aiohttp.ClientSession, tmp_path: Path) -> Shop:
    """An account at the far side."""
    return Shop(far_side, session, tmp_path)
