"""A fresh data directory, and brokers on it whose times are short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.embedded.directory import DataDirectory
from broker.embedded.timing import Timing
from tests.broker.embedded.opening import Opener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    """Where the log of this test is; nothing is there yet."""
    return DataDirectory(tmp_path / "log")


@pytest.fixture
async def opener(directory: DataDirectory) -> AsyncIterator[Opener]:
    """Opens brokers on the directory, each as if in a process of its own."""
    async with Opener(directory.root, Timing(session_timeout=0.6, heartbeat=0.1)) as opener:
        yield opener
