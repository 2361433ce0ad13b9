"""A running stand-in for one test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.profitmetrics.asking import Asking, asking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def vendor() -> AsyncIterator[Asking]:
    """The stand-in with its sites of development; its clock stands still."""
    async with asking() as running:
        yield running
