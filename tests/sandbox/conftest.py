"""A running sandbox for one test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.running import Running, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Running]:
    """A sandbox without data, with storefronts acme and other; its clock stands still."""
    async with running(tmp_path) as up:
        yield up
