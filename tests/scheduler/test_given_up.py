"""A ledger that is given up changes no more: neither what is under way nor what comes afterwards stands in the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from broker.interface import Unavailable
from scheduler.ledger import taken_over
from schemas.ledger import AccountState
from schemas.topics import LEDGER
from tests.scheduler.surroundings import opened, settings

if TYPE_CHECKING:
    from pathlib import Path


async def test_nothing_more_is_written(tmp_path: Path) -> None:
    async with opened(settings(tmp_path, "http://127.0.0.1:1")) as broker:
        async with taken_over(broker, 0, tmp_path) as ledger:
            await ledger.write({}, {"shop": AccountState(requests=1)})
            under_way = asyncio.create_task(ledger.write({}, {"shop": AccountState(requests=2)}))
            await asyncio.sleep(0)  # it has begun
            ledger.give_up()
            with pytest.raises(asyncio.CancelledError):
                await under_way
            with pytest.raises(Unavailable, match="given up"):
                await ledger.write({}, {"shop": AccountState(requests=3)})
            assert ledger.accounts == {"shop": AccountState(requests=1)}
        assert len([record async for record in broker.read(LEDGER)]) == 1
