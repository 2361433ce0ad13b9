"""A running stand-in and a source for one test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scheduler.sources.profitmetrics.world import World, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def profit() -> AsyncIterator[World]:
    """The stand-in with its sites of development; its clock stands still at a Wednesday in June, 12:20 in Copenhagen."""
    async with world() as running:
        yield running
