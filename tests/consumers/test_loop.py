"""The forwarder's loop where its broker does not do as it should."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from broker.interface import Assignment, Fenced, LogRange, Subscription, TopicPartition, Unavailable
from consumers.assignments import Assignments
from consumers.forwarder import Forwarder
from consumers.room import Room
from runtime.clock import SystemClock
from tests.consumers.records import record
from tests.consumers.shop import event, make_process, open_shop
from tests.consumers.sink import Sink, until

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from broker.interface import BrokerError, Commit, RebalanceListener, Record

TOPIC = "ecommerce.events.acme"
HERE = TopicPartition(TOPIC, 0)


class MemorySubscription(Subscription):
    """Owns one partition with a few records; fails to commit and to poll as it is told."""

    def __init__(self, listener: RebalanceListener, *names: str) -> None:
        self.listener = listener
        self.log = [record(index, name[0].encode(), event(name)) for index, name in enumerate(names)]
        self.position = 0
        self.polls = 0
        self.assigned = False
        self.closed = False
        self.commits: list[Commit] = []
        self.commit_error: BrokerError | None = None
        self.poll_error: BrokerError | None = None

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset({HERE})

    async def poll(
        self,
        timeout: float,  # noqa: ASYNC109 - the interface's
        partitions: Collection[TopicPartition] | None = None,
        max_records: int = 10_000,
    ) -> Mapping[TopicPartition, list[Record]]:
        self.polls += 1
        if self.poll_error is not None:
            raise self.poll_error
        if not self.assigned:
            self.assigned = True
            await self.listener.assigned([Assignment(HERE, 0, None, LogRange(0, len(self.log)))])
        found: list[Record] = []
        if partitions is None or HERE in partitions:
            found += self.log[self.position : self.position + max_records]
        if not found:
            await asyncio.sleep(timeout)
            return {}
        self.position += len(found)
        return {HERE: found}

    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        if self.commit_error is not None:
            raise self.commit_error
        self.commits += commits.values()

    def held_until(self) -> float:
        return float("inf")

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            await self.listener.revoked([HERE])


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.forwarder._AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("consumers.forwarder.COMMIT_SECONDS", 0.05)


async def test_a_commit_that_fails_is_told_tried_again_and_keeps_nobody_from_polling(sink: Sink) -> None:
    process, log = make_process(SystemClock())
    async with open_shop(sink) as shop:
        assignments = Assignments({TOPIC: shop.route}, process.log)
        subscription = MemorySubscription(assignments, "a1", "b1")
        assignments.use(subscription)
        forwarder = Forwarder(subscription, assignments, {TOPIC: shop.route}, Room(), process, [])
        subscription.commit_error = Unavailable("no coordinator")
        running = asyncio.create_task(forwarder.run())
        await until(lambda: forwarder.fault() == "no coordinator")
        before = subscription.polls
        await until(lambda: subscription.polls > before + 3)
        subscription.commit_error = None
        await until(lambda: subscription.commits)
        await until(lambda: forwarder.fault() is None)
        process.stop("test")
        await running
        assert [commit.offset for commit in subscription.commits] == [2]
        assert len([line for line in log if line["event"] == "broker unavailable"]) >= 1


async def test_a_broker_that_is_away_is_waited_for_with_one_line_for_each_change(sink: Sink) -> None:
    process, log = make_process(SystemClock())
    async with open_shop(sink) as shop:
        assignments = Assignments({TOPIC: shop.route}, process.log)
        subscription = MemorySubscription(assignments, "a1")
        assignments.use(subscription)
        forwarder = Forwarder(subscription, assignments, {TOPIC: shop.route}, Room(), process, [])
        subscription.poll_error = Unavailable("nobody answers")
        running = asyncio.create_task(forwarder.run())
        await until(lambda: subscription.polls > 5)
        assert forwarder.fault() == "nobody answers"
        subscription.poll_error = None
        await until(lambda: subscription.commits)
        process.stop("test")
        await running
        events = [line["event"] for line in log if line["event"].startswith("broker")]
        assert events == ["broker unavailable", "broker answers again"]


async def test_a_partition_that_was_lost_is_forgotten_and_nothing_is_committed_for_it(sink: Sink) -> None:
    process, log = make_process(SystemClock())
    async with open_shop(sink) as shop:
        assignments = Assignments({TOPIC: shop.route}, process.log)
        subscription = MemorySubscription(assignments, "a1")
        assignments.use(subscription)
        forwarder = Forwarder(subscription, assignments, {TOPIC: shop.route}, Room(), process, [])
        subscription.commit_error = Fenced("another's now")
        running = asyncio.create_task(forwarder.run())
        await until(lambda: [line for line in log if line["event"] == "partition lost"])
        # It is told before what is out has been given up, and forgotten after that.
        await until(lambda: assignments.trackers == {})
        assert forwarder.fault() is None
        process.stop("test")
        await running
        assert subscription.commits == []


async def test_a_fault_of_our_own_ends_the_process_and_leaves_the_group(sink: Sink) -> None:
    process, _ = make_process(SystemClock())
    async with open_shop(sink) as shop:
        assignments = Assignments({TOPIC: shop.route}, process.log)
        subscription = MemorySubscription(assignments, "a1")
        assignments.use(subscription)
        failures: list[BaseException] = []
        forwarder = Forwarder(subscription, assignments, {TOPIC: shop.route}, Room(), process, failures)
        running = asyncio.create_task(forwarder.run())
        await until(lambda: subscription.commits)
        failures.append(RuntimeError("a mistake"))
        with pytest.raises(RuntimeError, match="a mistake"):
            await running
        assert subscription.closed
