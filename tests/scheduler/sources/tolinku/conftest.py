"""An account that asks the vendor that answers as it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scheduler.sources.tolinku.world import Asking

if TYPE_CHECKING:
    import aiohttp

    from tests.scheduler.far_side import FarSide


@pytest.fixture
def asking(far_side: FarSide, session: aiohttp.ClientSession) -> Asking:
    """An account at `far_side`, which takes `end` for the last day."""
    return Asking(far_side.url, session)
