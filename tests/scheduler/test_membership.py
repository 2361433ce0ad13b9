"""A broker that is away is waited for: the process goes on, says so, and says when it is over. What no waiting cures ends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import LogCapture

from broker.embedded.broker import EmbeddedBroker
from broker.interface import Subscription, Unavailable
from runtime.clock import ManualClock
from scheduler.estates import Estates
from scheduler.lease import Lease
from scheduler.membership import AGAIN_SECONDS, POLL_SECONDS, SILENT_SECONDS, Membership
from tests.broker.waiting import eventually
from tests.scheduler.world import a_process, a_world, reports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence
    from pathlib import Path

    from broker.interface import Commit, Record, TopicPartition

SESSION = 6.0
STEP_SECONDS = 0.5


class Group(Subscription):
    """A subscription that does what it is told: a poll takes its whole timeout, or raises `fault`."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.fault: Exception | None = None
        self.silent = False
        self.polls = 0
        self._heard = clock.monotonic()

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset()

    async def poll(
        self,
        timeout: float,  # noqa: ASYNC109  # the interface's
        partitions: Collection[TopicPartition] | None = None,
        max_records: int = 10_000,
    ) -> Mapping[TopicPartition, Sequence[Record]]:
        assert (partitions, max_records) == ((), 10_000)
        self.polls += 1
        if self.fault is not None:
            raise self.fault
        await self._clock.sleep(timeout)
        if not self.silent:
            self._heard = self._clock.monotonic()
        return {}

    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        raise AssertionError(commits)

    def held_until(self) -> float:
        return self._heard + SESSION

    async def close(self) -> None:
        raise AssertionError("it is its user's to close")


class Owned(Estates):
    """No estates at all, but one may have failed."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None

    def failed(self) -> BaseException | None:
        return self.failure


class World:
    """A membership at work. `pass_by` lets time pass, `task` is one that must not end."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.logged = LogCapture()
        self.group = Group(self.clock)
        self.owned = Owned()
        self.process = a_process("scheduler", self.clock, self.logged)
        self.task = asyncio.create_task(_for_ever())
        lease = Lease(self.clock)
        lease.use(self.group.held_until)
        self.membership = Membership(self.group, self.owned, lease, self.process, self.task)
        self.running = asyncio.create_task(self.membership.run())

    async def pass_by(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_SECONDS)):
            await self.clock.advance(STEP_SECONDS)

    def events(self) -> list[str]:
        return [entry["event"] for entry in self.logged.entries]


async def _for_ever() -> None:
    await asyncio.Event().wait()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.running.cancel()
    world.task.cancel()
    await asyncio.wait([world.running, world.task])


async def test_a_broker_that_is_away_is_waited_for(world: World) -> None:
    await world.pass_by(2)
    assert world.membership.fault() is None
    world.group.fault = Unavailable("Kafka is\nnot there")
    polls = world.group.polls
    await world.pass_by(600)
    assert 0 < world.group.polls - polls <= 600 / AGAIN_SECONDS + 1
    assert world.membership.fault() == "Kafka is not there"
    world.group.fault = None
    await world.pass_by(2)
    assert world.membership.fault() is None
    assert world.events() == ["broker unavailable", "broker answers again"]
    assert not world.running.done()


async def test_a_group_that_says_nothing_for_long_is_trouble(world: World) -> None:
    world.group.silent = True
    await world.pass_by(SESSION + SILENT_SECONDS - 1)
    assert world.membership.fault() is None
    await world.pass_by(2)
    assert (world.membership.fault() or "").startswith("nothing was heard of the group for 1")
    world.group.silent = False
    await world.pass_by(2)
    assert world.membership.fault() is None


async def test_it_ends_when_the_process_is_to_stop(world: World) -> None:
    world.process.stopping.set()
    await world.pass_by(POLL_SECONDS)
    await world.running
    assert world.events() == []


@pytest.mark.parametrize("away", [False, True])
async def test_a_fault_of_ours_ends_it_also_while_the_broker_is_away(world: World, *, away: bool) -> None:
    world.group.fault = Unavailable("not there") if away else None
    world.owned.failure = ZeroDivisionError()
    await world.pass_by(2)
    with pytest.raises(ZeroDivisionError):
        await world.running


async def test_a_task_that_failed_ends_it(world: World) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    world.running.cancel()
    failing = asyncio.create_task(fail())
    membership = Membership(world.group, world.owned, Lease(world.clock), world.process, world.task, failing)
    running = asyncio.create_task(membership.run())
    await world.pass_by(2)
    with pytest.raises(ZeroDivisionError):
        await running


@pytest.mark.parametrize("call", ["partitions", "subscribe"])
async def test_a_broker_that_goes_away_before_the_group_is_joined_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr("broker.startup.FIRST_WAIT_SECONDS", 0.01)
    async with a_world(tmp_path, reports()) as world:
        there, does = asyncio.Event(), getattr(EmbeddedBroker, call)

        async def away(broker: EmbeddedBroker, *arguments: object) -> object:
            if not there.is_set():
                raise Unavailable("it is away")
            return await does(broker, *arguments)

        monkeypatch.setattr(EmbeddedBroker, call, away)
        async with world.scheduling() as stopped:
            await eventually(lambda: stopped.health.reasons().get("broker") == "it is away", "readiness says why")
        async with world.scheduling() as process:
            await eventually(lambda: process.health.reasons().get("broker") == "it is away", "readiness says why")
            there.set()
            assert (await world.until(lambda state: state.succeeded)).reason == ""
            assert process.health.reasons() == {}
