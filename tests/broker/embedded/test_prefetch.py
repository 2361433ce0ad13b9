"""Reading ahead: bounded, fair, and of what is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.embedded import prefetch
from broker.interface import TopicPartition
from schemas.topics import events_spec
from tests.broker.log_contents import message, numbered
from tests.broker.member import Member
from tests.broker.waiting import eventually

if TYPE_CHECKING:
    from broker.embedded.broker import EmbeddedBroker
    from broker.embedded.subscription import EmbeddedSubscription
    from tests.broker.embedded.opening import Opener

TOPIC = "ecommerce.events.demo"
PARTS = [TopicPartition(TOPIC, n) for n in range(4)]
KB = 1024


@pytest.fixture
async def log(opener: Opener) -> EmbeddedBroker:
    log = await opener.open()
    await log.ensure_topics([events_spec("demo", len(PARTS))])
    return log


async def joined(log: EmbeddedBroker) -> EmbeddedSubscription:
    """Return a member that owns everything and has asked for nothing yet."""
    subscription = await log.subscribe("group", [TOPIC], Member())
    while len(subscription.assignment) < len(PARTS):
        await subscription.poll(0.05, ())
    return subscription


async def test_partitions_take_turns(log: EmbeddedBroker) -> None:
    publisher = await log.publisher()
    for part in PARTS:
        await publisher.publish(*part, numbered(0, 1_000))
    subscription = await joined(log)
    await eventually(lambda: not subscription._prefetch._fetches, "nothing is being read")
    assert not await subscription.poll(0)
    lanes = subscription._prefetch._lanes
    await eventually(lambda: all(lane.records for lane in lanes.values()), "all are read ahead")
    served = [await subscription.poll(1, max_records=100) for _ in PARTS]
    assert {part for got in served for part in got} == set(PARTS)
    assert all(sum(map(len, got.values())) == 100 for got in served)
    await subscription.close()


async def test_read_ahead_is_bounded(log: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "_TOTAL_BYTES", 256 * KB)
    publisher = await log.publisher()
    for part in PARTS:
        for _ in range(20):
            await publisher.publish(*part, [message(b"x" * 50 * KB)])
    subscription = await joined(log)
    ahead = subscription._prefetch
    taken: dict[TopicPartition, int] = dict.fromkeys(PARTS, 0)
    # Three partitions are read ahead, then nobody asks for them: the fourth goes on all the same.
    for part, got in (await subscription.poll(5, PARTS[1:], 3)).items():
        taken[part] += len(got)
    while taken[PARTS[0]] < 20:
        for part, got in (await subscription.poll(5, PARTS[:1])).items():
            taken[part] += len(got)
        assert ahead._size <= 256 * KB + len(PARTS) * 100 * KB
    while sum(taken.values()) < 80:
        for part, got in (await subscription.poll(5)).items():
            taken[part] += len(got)
    assert taken == dict.fromkeys(PARTS, 20)
    assert ahead._size == 0
    await subscription.close()


async def test_what_nobody_wants_is_not_read(log: EmbeddedBroker) -> None:
    publisher = await log.publisher()
    for part in PARTS:
        await publisher.publish(*part, numbered(0, 10))
    subscription = await joined(log)
    got = await subscription.poll(5, [PARTS[2]])
    assert list(got) == [PARTS[2]]
    assert {part: lane.next_offset for part, lane in subscription._prefetch._lanes.items()} == {
        part: 10 if part == PARTS[2] else 0 for part in PARTS
    }
    await subscription.close()
