"""What the deletion of a user does to that user's dead letters, and to those of them that were replayed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
import pytest

from broker.interface import Unavailable
from consumers.letters.dead_letters import DeadLetter, DeadLetters, Reason, message
from consumers.letters.forgetting import Forgetting
from consumers.letters.letter import REPLAYED_FROM, Place, Settled, Settlement, read_letter, settlement
from runtime.backoff import Backoff
from runtime.clock import ManualClock
from schemas.cloudevents import DELETION_TYPE_HEADER
from schemas.topics import DEAD_LETTERS, partition_of
from tests.chance import seeded
from tests.consumers.records import Read, record
from tests.consumers.shop import NAME, MemoryPublisher, event, make_process, open_shop
from tests.consumers.sink import OK, Got, Say, Sink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

USER = "/v1/api/analytics/user"
COUNT = 3


def deletion(offset: int, user: str = "a") -> Read:
    return record(
        offset, user.encode(), orjson.dumps({"user_id": user}), headers=(("ce_id", b"x"), DELETION_TYPE_HEADER)
    )


def replayed(offset: int, place: Place, name: str) -> Read:
    headers = (("ce_id", b"x"), (REPLAYED_FROM, place.full.encode()))
    return record(offset, name[0].encode(), event(name), headers=headers)


def bury(publisher: MemoryPublisher, *records: Read, storefront: str = NAME) -> None:
    """Dead letters stand there already."""
    for each in records:
        letter = message(storefront, DeadLetter(each, Reason.REFUSED_ALONE, "no", 1))
        publisher.published.append((DEAD_LETTERS, partition_of(each.key or b"", COUNT), letter))


async def settled(publisher: MemoryPublisher) -> list[tuple[str, str]]:
    """The name of each letter that is settled, and how, in the order of the settlements."""
    found = []
    for partition in range(COUNT):
        records = [each async for each in publisher.read(partition)]
        for each in map(read_letter, records):
            if isinstance(each, Settlement):
                assert each.settles.partition == partition
                found.append((orjson.loads(records[each.settles.offset].value or b"")["name"], each.outcome))
    return found


def refuse_named(got: Got) -> Say:
    bad = [index for index, name in enumerate(got.names) if name.endswith("!")]
    return Say(200, {"ok": True, "errors": [f"events[{index}]: no" for index in bad]})


def answer(got: Got) -> Say:
    return OK if got.path.startswith(USER) else refuse_named(got)


async def test_a_deletion_that_was_carried_out_settles_the_users_letters_and_no_others(sink: Sink) -> None:
    sink.answer = answer
    async with open_shop(sink) as shop:
        bury(shop.publisher, record(0, b"a", event("a-elsewhere")), storefront="another")
        shop.feed("a1!", "b1!", "a2", "a3!")
        await shop.until(lambda: len(shop.dead) == 4)
        shop.feed_records([deletion(4), record(5, b"a", event("a5!"))])
        await shop.until(lambda: shop.finished)
        assert await settled(shop.publisher) == [("a1!", "user_deleted"), ("a3!", "user_deleted")]
        assert shop.committable() == (6, 2, 4)


async def test_one_that_is_repeated_settles_nothing_twice_and_nothing_that_came_after_it(sink: Sink) -> None:
    sink.answer = answer
    async with open_shop(sink) as shop:
        bury(shop.publisher, record(0, b"a", event("a0")), record(2, b"a", event("a2")))
        shop.feed("-0")
        for _ in range(2):
            await forgetting(shop.publisher).forget(NAME, deletion(1))
        assert await settled(shop.publisher) == [("a0", "user_deleted")]
        await shop.until(lambda: shop.finished)


async def test_one_that_is_refused_settles_nothing(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        sink.answer = lambda _got: Say(400, {"error": "no"})
        bury(shop.publisher, record(0, b"a", event("a0")))
        shop.feed_records([deletion(0)])
        await shop.until(lambda: shop.finished)
        assert await settled(shop.publisher) == []
        assert shop.committable() == (1, 0, 1)


async def test_what_was_replayed_behind_a_deletion_is_not_sent(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        bury(shop.publisher, record(0, b"a", event("a1")), record(1, b"a", event("a2")), record(2, b"b", event("b1")))
        partition = partition_of(b"a", COUNT)
        first, second = Place(partition, 0), Place(partition, 1)
        # Somebody replays while the deletion waits in the log.
        shop.publisher.published.append((DEAD_LETTERS, partition, settlement(b"a", first, Settled.REPLAYED)))
        shop.feed("-1", "-2", "-3")
        shop.feed_records(
            [deletion(3), replayed(4, first, "a1"), replayed(5, second, "a2"), record(6, b"a", event("a3"))]
        )
        await shop.until(lambda: shop.finished)
        assert names(sink) == ["-1", "-2", "-3", "a3"], "only what is no replay came after the deletion"
        assert shop.committable() == (7, 5, 2)
        buried = [dict(headers) for _, _, (_, value, headers) in shop.publisher.published if not value]
        assert [each["reason"] for each in buried if "reason" in each] == [b"user_deleted"] * 2


async def test_a_replay_of_somebody_who_stays_is_sent_as_ever(sink: Sink) -> None:
    async with open_shop(sink) as shop:
        bury(shop.publisher, record(0, b"b", event("b1")))
        shop.feed_records([replayed(0, Place(partition_of(b"b", COUNT), 0), "b1")])
        await shop.until(lambda: shop.finished)
        assert names(sink) == ["b1"]
        assert shop.committable() == (1, 1, 0)


@pytest.mark.parametrize("header", [b"ecommerce.dead-letters/99/0", b"\xff", b""])
async def test_what_only_says_that_it_was_replayed_is_an_event(sink: Sink, header: bytes) -> None:
    async with open_shop(sink) as shop:
        shop.feed_records(
            [record(0, b"a", event("a1"), headers=((REPLAYED_FROM, header),)), record(1, b"a", event("a2"))]
        )
        await shop.until(lambda: shop.finished)
        assert names(sink) == ["a1", "a2"]


async def test_many_at_once_read_a_partition_a_few_times_only_and_a_log_that_is_away_is_asked_again() -> None:
    publisher, clock = MemoryPublisher(), ManualClock()
    bury(publisher, *[record(number, b"%d" % number, event(f"{number}")) for number in range(20)])
    reads = 0

    async def read(partition: int, start: int) -> AsyncIterator[Read]:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        if reads == 1:
            raise Unavailable("away")
        async for each in publisher.read(partition, start):
            yield each

    users = [deletion(100 + number, str(number)) for number in range(20)]
    knows = forgetting(publisher, read, clock, partitions=1)
    for index, (topic, _, letter) in enumerate(publisher.published):
        publisher.published[index] = (topic, 0, letter)
    work = asyncio.gather(*(knows.forget(NAME, user) for user in users))
    while not work.done():
        await asyncio.sleep(0)
        await clock.advance(1)
    await work
    assert len(await settled(publisher)) == 20
    assert reads <= 3


async def test_of_many_replays_each_letter_is_read_once() -> None:
    publisher = MemoryPublisher()
    bury(publisher, *[record(number, b"a", event(f"a{number}")) for number in range(20)])
    partition = partition_of(b"a", COUNT)
    read: list[int] = []

    async def reading(number: int, start: int) -> AsyncIterator[Read]:
        assert number == partition
        async for each in publisher.read(number, start):
            read.append(each.offset)
            yield each

    replays = [replayed(100 + number, Place(partition, number), f"a{number}") for number in range(20)]
    knows = forgetting(publisher, reading)
    assert await asyncio.gather(*(knows.forgotten(replays[start : start + 5]) for start in range(0, 20, 5))) == [[]] * 4
    for number in (3, 7):
        gone = settlement(b"a", Place(partition, number), Settled.USER_DELETED)
        publisher.published.append((DEAD_LETTERS, partition, gone))
    assert await knows.forgotten(replays) == [replays[3], replays[7]]
    assert read == list(range(22))


async def test_what_was_just_settled_is_known_though_it_cannot_be_read_yet() -> None:
    publisher = MemoryPublisher()
    bury(publisher, record(0, b"a", event("a0")))
    partition = partition_of(b"a", COUNT)

    async def only_the_letter(number: int, start: int) -> AsyncIterator[Read]:
        async for each in publisher.read(number, start):
            if each.offset == 0:
                yield each

    knows = forgetting(publisher, only_the_letter)
    await knows.forget(NAME, deletion(1))
    late = replayed(2, Place(partition, 0), "a0")
    assert await knows.forgotten([late]) == [late]


def forgetting(
    publisher: MemoryPublisher,
    read: Callable[[int, int], AsyncIterator[Read]] | None = None,
    clock: ManualClock | None = None,
    partitions: int = COUNT,
) -> Forgetting:
    clock = clock or ManualClock()
    process, _ = make_process(clock)
    letters = DeadLetters(publisher, partitions, Backoff(seeded(1), base=0.1, cap=1), clock, process.log)
    return Forgetting(read or publisher.read, letters, clock, process.log)


def names(sink: Sink) -> list[str]:
    return [name for got in sink.got if not got.path.startswith(USER) for name in got.names]
