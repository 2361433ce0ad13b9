"""Dead letters replayed on a real log, embedded and Kafka, while a forwarder runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from broker.interface import NotAcknowledged
from consumers import replay
from consumers.letter_search import Entry, search
from consumers.letters import Origin, Place, Settled
from consumers.replay import Progress, settling
from runtime.errors import OperatorError
from schemas.cloudevents import DELETION_TYPE_HEADER
from schemas.topics import events_topic, partition_of
from tests.consumers.sink import OK, Got, Say, until
from tests.consumers.town import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from consumers.letter_search import Found
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


async def found(town: Town) -> Found:
    return await search(town.broker, lambda letter: letter.storefront == town.names[0])


async def replayed(town: Town, letters: Found) -> Progress:
    async with settling(town.broker, letters.copies) as settler:
        return await settler.settle(letters.unsettled(), Settled.REPLAYED, lambda _: None, lambda: False)


def outcomes(letters: Found) -> list[str]:
    """What became of this town's."""
    return sorted(letters.settled[origin].outcome for origin in letters.wanted)


def arrivals(town: Town) -> list[str]:
    return [name for got in town.sink.got if not got.path.startswith(USER) for name in got.names]


async def test_a_replay_is_a_new_acceptance_in_the_order_of_each_key(town: Town) -> None:
    assert await replayed(town, await found(town)) == Progress(settled=6)
    await settled(town)

    assert sorted(arrivals(town)) == sorted(NAMES)
    for key in "ab":
        assert [name for name in arrivals(town) if name[0] == key] == [name for name in NAMES if name[0] == key]
    balance = await town.balance()
    assert (balance.accepted, balance.delivered, balance.dead_lettered, balance.unaccounted) == (12, 6, 6, 0)
    letters = await found(town)
    assert letters.unsettled() == []
    assert outcomes(letters) == ["replayed"] * 6
    assert await replayed(town, letters) == Progress()


async def test_whoever_starts_later_takes_over_and_nothing_is_lost(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "CHUNK", 2)
    letters = await found(town)
    async with settling(town.broker, letters.copies) as first:
        steps: list[Progress] = []

        def after_one_chunk(progress: Progress) -> None:
            steps.append(progress)

        await first.settle(letters.unsettled(), Settled.REPLAYED, after_one_chunk, lambda: len(steps) == 1)
        assert steps == [Progress(settled=2)]
        async with settling(town.broker, letters.copies) as second:
            with pytest.raises(OperatorError, match="somebody else settles dead letters since"):
                await first.settle(letters.unsettled(), Settled.DISCARDED, after_one_chunk, lambda: False)
            rest = await second.settle(letters.unsettled(), Settled.REPLAYED, after_one_chunk, lambda: False)
        assert rest == Progress(settled=4, passed=2)
    await settled(town)
    assert sorted(arrivals(town)) == sorted(NAMES)


@EMBEDDED_SUFFICES
async def test_what_was_not_acknowledged_stays_unsettled(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = await found(town)
    async with settling(town.broker, letters.copies) as settler:

        def fails(*_: object, **__: object) -> asyncio.Future[None]:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.set_exception(NotAcknowledged("no acknowledgement in 10 s"))
            return future

        monkeypatch.setattr(settler._publisher, "publish", fails)
        with pytest.raises(NotAcknowledged):
            await settler.settle(letters.unsettled(), Settled.REPLAYED, lambda _: None, lambda: False)
    assert len((await found(town)).unsettled()) == 6
    assert await replayed(town, await found(town)) == Progress(settled=6)


async def test_what_is_replayed_behind_a_deletion_does_not_bring_the_user_back(town: Town) -> None:
    hold = asyncio.Event()
    town.sink.answer = lambda got: Say(200, {"ok": True}, after=hold) if got.path.startswith(USER) else OK
    topic = events_topic(town.names[0])
    partition = partition_of(b"a", await town.broker.partitions(topic))
    gone = (b"a", b'{"user_id":"a"}', [("ce_id", b"x"), DELETION_TYPE_HEADER])
    await town.publisher.publish(topic, partition, [gone])
    await until(lambda: any(got.path.startswith(USER) for got in town.sink.got))

    # While the API is still at it, somebody replays everything.
    assert (await replayed(town, await found(town))).settled == 6
    hold.set()
    await settled(town)

    assert sorted(arrivals(town)) == ["-0", "b0", "b1"]
    letters = await found(town)
    assert letters.unsettled() == []
    assert outcomes(letters) == ["replayed"] * 3 + ["user_deleted"] * 6
    balance = await town.balance()
    assert (balance.accepted, balance.delivered, balance.dead_lettered, balance.unaccounted) == (13, 4, 9, 0)


def test_what_is_in_memory_at_a_time_is_bounded() -> None:
    entries = [
        Entry(Place(0, offset), Origin("t", 0, offset), "shop", 0, size, is_deletion=False)
        for offset, size in enumerate([0, 2**20, replay.ROUND_BYTES, 1, 2])
    ]
    assert [[entry.size for entry in part] for part in replay._rounds(entries)] == [
        [0, 2**20],
        [replay.ROUND_BYTES],
        [1, 2],
    ]
    assert list(replay._rounds([])) == []


@EMBEDDED_SUFFICES
async def test_a_kill_between_publishing_and_settling_repeats_and_loses_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = await found(town)

    class KilledError(Exception):
        pass

    async def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(replay.Settler, "_write", killed)
        with pytest.raises(KilledError):
            await replayed(town, letters)
    assert len((await found(town)).unsettled()) == 6
    assert await replayed(town, letters) == Progress(settled=6)
    await settled(town)
    assert sorted(arrivals(town)) == sorted(NAMES * 2)
    for key in "ab":
        mine = [name for name in NAMES if name[0] == key]
        assert list(dict.fromkeys(name for name in arrivals(town) if name[0] == key)) == mine
