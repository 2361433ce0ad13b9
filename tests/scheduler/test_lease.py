"""Who may not take itself for an account's owner asks its vendor nothing and fences nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import structlog

from broker.interface import Fenced
from runtime.clock import ManualClock, SystemClock
from runtime.metrics import Metrics
from scheduler.lease import LOOK_SECONDS, MARGIN_SECONDS, Lease, NotOwner
from scheduler.report import Report
from tests.scheduler.far_side import Say, until
from tests.scheduler.surroundings import OWNER, opened, settings, working
from tests.scheduler.world import reports

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from tests.scheduler.far_side import FarSide

SESSION = 6.0
CATALOGUE = [{"value": name, "label": name} for name in ("TURNOVER", "NUMBER_OF_ORDERS")]


class Group:
    """What the group says: `held_until`, by a clock that stands still."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.until = float("-inf")
        self.lease = Lease(self.clock)
        self.lease.use(lambda: self.until)

    def heartbeat(self) -> None:
        self.until = self.clock.monotonic() + SESSION


@pytest.fixture
def group() -> Group:
    return Group()


@pytest.fixture
def report() -> Report:
    return Report(Metrics(), SystemClock(), structlog.get_logger())


async def test_a_lease_ends_before_the_group_may_give_the_partitions_away(group: Group) -> None:
    with pytest.raises(NotOwner):
        Lease(group.clock).check()
    group.heartbeat()
    group.lease.check()
    await group.clock.advance(SESSION - MARGIN_SECONDS - 0.01)
    assert group.lease.lasts()
    await group.clock.advance(0.02)
    assert not group.lease.lasts()
    with pytest.raises(NotOwner):
        group.lease.check()
    group.heartbeat()
    group.lease.check()


async def test_its_end_is_waited_for_and_so_is_its_next_beginning(group: Group) -> None:
    group.heartbeat()
    ending = asyncio.create_task(group.lease.run_out())
    await group.clock.advance(SESSION - 1)
    group.heartbeat()
    await group.clock.advance(SESSION - MARGIN_SECONDS - 0.01)
    assert not ending.done()
    await group.lease.taken_up()
    await group.clock.advance(0.02)
    with pytest.raises(NotOwner):
        await ending
    taking_up = asyncio.create_task(group.lease.taken_up())
    await group.clock.advance(10 * LOOK_SECONDS)
    assert not taking_up.done()
    group.heartbeat()
    await group.clock.advance(LOOK_SECONDS)
    await taking_up


async def test_who_woke_from_a_freeze_lets_its_successor_work(
    tmp_path: Path, far_side: FarSide, session: aiohttp.ClientSession, group: Group, report: Report
) -> None:
    configured = settings(tmp_path, far_side.url, reports())
    answered = asyncio.Event()
    far_side.say(Say(503, before=answered))
    far_side.answer = Say(503)
    group.heartbeat()
    async with opened(configured) as broker, working(configured, broker, session, group.lease, report, tmp_path) as one:
        await until(lambda: len(far_side.got) == 1)
        # It sleeps, its session ends, another takes over; then it wakes, and is answered.
        successor = await broker.transactional(OWNER)
        await group.clock.advance(2 * SESSION)
        answered.set()
        await until(lambda: "did not hear of its group" in (one.fault() or ""))
        for _ in range(20):
            await group.clock.advance(LOOK_SECONDS)
        async with successor.transaction():
            pass
        assert len(far_side.got) == 1
        # Its group has it again, and the successor is gone.
        group.heartbeat()
        await group.clock.advance(LOOK_SECONDS)
        await until(lambda: len(far_side.got) > 1)
        with pytest.raises(Fenced):
            async with successor.transaction():
                pass


async def test_who_was_told_to_give_up_asks_nothing_even_before_it_is_cancelled(
    tmp_path: Path, far_side: FarSide, session: aiohttp.ClientSession, group: Group, report: Report
) -> None:
    configured = settings(tmp_path, far_side.url, reports())
    answered = asyncio.Event()
    far_side.say(Say(200, CATALOGUE, before=answered))
    group.heartbeat()
    async with opened(configured) as broker, working(configured, broker, session, group.lease, report, tmp_path) as one:
        await until(lambda: len(far_side.got) == 1)
        one.give_up()
        answered.set()
        await until(lambda: "give the account up" in (one.fault() or ""))
        assert len(far_side.got) == 1
