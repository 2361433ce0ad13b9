"""Dead letters replayed on a real log, embedded and Kafka, while a forwarder runs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from broker.interface import NotAcknowledged
from consumers.letters import replay
from consumers.letters.index import LetterIndex
from consumers.letters.letter import Settled
from consumers.letters.replay import Progress, settling
from consumers.letters.search import search
from runtime.errors import OperatorError
from schemas.cloudevents import DELETION_TYPE_HEADER
from schemas.topics import events_topic, partition_of
from tests.consumers.sink import OK, Got, Say, until
from tests.consumers.town import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.consumers.town import Builder, Town

EMBEDDED_SUFFICES = pytest.mark.parametrize("builder", ["embedded"], indirect=True)
NAMES = ["a0", "b0", "a1", "-0", "a2", "b1"]
USER = "/v1/api/analytics/user"


def refuse_all(got: Got) -> Say:
    return Say(200, {"ok": True, "errors": [f"events[{index}]: no" for index in range(len(got.names))]})


async def settled(town: Town) -> None:
    """Nothing waits any more."""

    async def balanced() -> bool:
        return (await town.balance()).waiting == 0

    await eventually(balanced)


@pytest.fixture
async def town(builder: Builder) -> AsyncIterator[Town]:
    """Whose first events were all refused; its API has been put right since."""
    town = await builder.town()
    town.sink.answer = refuse_all
    await town.accept(*NAMES)
    async with town.forwarder():
        await settled(town)
        town.sink.got.clear()
        town.sink.answer = lambda _got: OK
        yield town


@asynccontextmanager
async def unsettled(town: Town) -> AsyncIterator[LetterIndex]:
    """This town's, in line."""
    with await asyncio.to_thread(LetterIndex) as index:
        await search(town.broker, index, lambda letter: letter.storefront == town.names[0])
        await asyncio.to_thread(index.queue_unsettled, None)
        yield index


async def replayed(town: Town) -> Progress:
    async with unsettled(town) as index, settling(town.broker) as settler:
        return await settler.settle(index, Settled.REPLAYED, lambda _: None, lambda: False)


async def left(town: Town) -> int:
    """How many of this town's nobody settled."""
    async with unsettled(town) as index:
        queued = await asyncio.to_thread(list, index.queued())
        return sum(letters for _, letters, _ in queued)


async def outcomes(town: Town) -> list[str]:
    """What became of this town's."""
    async with unsettled(town) as index:
        await asyncio.to_thread(index.queue_listed, None, everything=True)
        _, entries = await asyncio.to_thread(index.part, 0, 1 << 30)
        return sorted(entry.settled.outcome for entry in entries if entry.settled is not None)


def arrivals(town: Town) -> list[str]:
    return [name for got in town.sink.got if not got.path.startswith(USER) for name in got.names]


async def test_a_replay_is_a_new_acceptance_in_the_order_of_each_key(town: Town) -> None:
    assert await replayed(town) == Progress(settled=6)
    await settled(town)

    assert sorted(arrivals(town)) == sorted(NAMES)
    for key in "ab":
        assert [name for name in arrivals(town) if name[0] == key] == [name for name in NAMES if name[0] == key]
    balance = await town.balance()
    assert (balance.accepted, balance.delivered, balance.dead_lettered, balance.unaccounted) == (12, 6, 6, 0)
    assert await outcomes(town) == ["replayed"] * 6
    assert await replayed(town) == Progress()


async def test_whoever_starts_later_takes_over_and_nothing_is_lost(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "CHUNK", 2)
    async with unsettled(town) as index, settling(town.broker) as first:
        steps: list[Progress] = []

        def after_one_chunk(progress: Progress) -> None:
            steps.append(progress)

        await first.settle(index, Settled.REPLAYED, after_one_chunk, lambda: len(steps) == 1)
        assert steps == [Progress(settled=2)]
        async with settling(town.broker) as second:
            with pytest.raises(OperatorError, match="somebody else settles dead letters since"):
                await first.settle(index, Settled.DISCARDED, after_one_chunk, lambda: False)
            rest = await second.settle(index, Settled.REPLAYED, after_one_chunk, lambda: False)
        assert rest == Progress(settled=4, passed=2)
    await settled(town)
    assert sorted(arrivals(town)) == sorted(NAMES)


@EMBEDDED_SUFFICES
async def test_what_was_not_acknowledged_stays_unsettled(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    async with unsettled(town) as index, settling(town.broker) as settler:

        def fails(*_: object, **__: object) -> asyncio.Future[None]:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.set_exception(NotAcknowledged("no acknowledgement in 10 s"))
            return future

        monkeypatch.setattr(settler._publisher, "publish", fails)
        with pytest.raises(NotAcknowledged):
            await settler.settle(index, Settled.REPLAYED, lambda _: None, lambda: False)
    assert await left(town) == 6
    assert await replayed(town) == Progress(settled=6)


async def test_what_is_replayed_behind_a_deletion_does_not_bring_the_user_back(town: Town) -> None:
    hold = asyncio.Event()
    town.sink.answer = lambda got: Say(200, {"ok": True}, after=hold) if got.path.startswith(USER) else OK
    topic = events_topic(town.names[0])
    partition = partition_of(b"a", await town.broker.partitions(topic))
    gone = (b"a", b'{"user_id":"a"}', [("ce_id", b"x"), DELETION_TYPE_HEADER])
    await town.publisher.publish(topic, partition, [gone])
    await until(lambda: any(got.path.startswith(USER) for got in town.sink.got))

    # While the API is still at it, somebody replays everything.
    assert (await replayed(town)).settled == 6
    hold.set()
    await settled(town)

    assert sorted(arrivals(town)) == ["-0", "b0", "b1"]
    assert await outcomes(town) == ["replayed"] * 3 + ["user_deleted"] * 6
    balance = await town.balance()
    assert (balance.accepted, balance.delivered, balance.dead_lettered, balance.unaccounted) == (13, 4, 9, 0)


@EMBEDDED_SUFFICES
async def test_what_is_settled_in_parts_is_settled_whole(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "ROUND_BYTES", 1)
    steps: list[Progress] = []
    async with unsettled(town) as index, settling(town.broker) as settler:
        await settler.settle(index, Settled.REPLAYED, steps.append, lambda: False)
    assert steps == [Progress(settled=count) for count in range(1, 7)]
    await settled(town)
    for key in "ab":
        assert [name for name in arrivals(town) if name[0] == key] == [name for name in NAMES if name[0] == key]


@EMBEDDED_SUFFICES
async def test_a_kill_between_publishing_and_settling_repeats_and_loses_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    async def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(replay.Settler, "_write", killed)
        with pytest.raises(KilledError):
            await replayed(town)
    assert await left(town) == 6
    assert await replayed(town) == Progress(settled=6)
    await settled(town)
    assert sorted(arrivals(town)) == sorted(NAMES * 2)
    for key in "ab":
        mine = [name for name in NAMES if name[0] == key]
        assert list(dict.fromkeys(name for name in arrivals(town) if name[0] == key)) == mine
