"""What is accepted while the log is away: on the disk before it is answered, in the log in its order afterwards."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from typing import TYPE_CHECKING

import pytest

from broker.embedded.directory import DataDirectory, LogFile
from broker.interface import SpoolFull, Stranded, Unavailable
from schemas.topics import events_spec
from tests.broker.log_contents import message, numbered, values
from tests.broker.member import Member
from tests.broker.spool.outage import TOPIC, Gateway
from tests.broker.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Mapping
    from pathlib import Path

    from broker.embedded.broker import EmbeddedBroker
    from broker.interface import LogRange, TopicPartition
    from tests.broker.embedded.opening import Opener

OTHER = "ecommerce.events.other"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
async def log(opener: Opener) -> EmbeddedBroker:
    """Where events go when it is not away."""
    log = await opener.open()
    await log.ensure_topics([events_spec("demo", 2), events_spec("other", 2)])
    return log


@pytest.fixture
async def gateway(log: EmbeddedBroker, path: Path) -> AsyncIterator[Gateway]:
    gateway = await Gateway(log, path).start(TOPIC, OTHER)
    yield gateway
    await gateway.stop()


def numbers(count: int) -> list[bytes | None]:
    return [b"%d" % n for n in range(count)]


async def drained(gateway: Gateway, partition: int = 0, topic: str = TOPIC) -> None:
    await eventually(lambda: not gateway.spools(topic, partition), f"{topic}/{partition} drained")


async def test_what_is_spooled_drains_in_order_and_what_comes_meanwhile_goes_behind(
    gateway: Gateway, log: EmbeddedBroker
) -> None:
    gateway.log.away = {TOPIC}
    gateway.strand()
    for n in range(5):
        await gateway.publish(numbered(10 * n, 10))
    await eventually(lambda: gateway.log.failed > 1, "it to be tried again")
    assert await values(log, TOPIC) == []
    assert gateway.spools(TOPIC, 0)
    gateway.log.away = ()
    sent = 50
    while gateway.spools(TOPIC, 0):
        await gateway.publish(numbered(sent, 1))
        sent += 1
    await gateway.publish(numbered(sent, 1))
    assert await values(log, TOPIC, 0) == numbers(sent + 1)


async def test_what_nobody_acknowledged_goes_before_what_comes_next(gateway: Gateway, log: EmbeddedBroker) -> None:
    gateway.log.away = {TOPIC}
    loop = asyncio.get_running_loop()
    stranded = [Stranded(numbered(2 * n, 2), loop.create_future()) for n in range(3)]
    gateway.spool.relieve(TOPIC, 0, stranded, "no acknowledgement")
    await gateway.publish(numbered(6, 2))
    await asyncio.gather(*(each.future for each in stranded))
    gateway.log.away = ()
    await drained(gateway)
    assert await values(log, TOPIC) == numbers(8)


async def test_one_topic_that_is_away_spools_no_other(gateway: Gateway, log: EmbeddedBroker) -> None:
    gateway.log.away = {TOPIC}
    gateway.strand()
    await gateway.publish(numbered(0, 1))
    await gateway.publish(numbered(0, 1), topic=OTHER)
    assert gateway.spools(TOPIC, 0)
    assert not gateway.spools(TOPIC, 1)
    assert not gateway.spools(OTHER, 0)
    assert await values(log, OTHER) == numbers(1)


async def test_what_is_found_at_start_goes_before_anything_new(log: EmbeddedBroker, path: Path) -> None:
    first = await Gateway(log, path).start(away={TOPIC})
    first.strand()
    await first.publish(numbered(0, 1_000))
    await first.stop()
    second = await Gateway(log, path).start(away={TOPIC})
    assert second.spools(TOPIC, 0)
    assert not second.spools(TOPIC, 1)
    await second.publish(numbered(1_000, 1))
    second.log.away = ()
    await drained(second)
    await second.publish(numbered(1_001, 1))
    await second.stop()
    assert await values(log, TOPIC) == numbers(1_002)
    third = await Gateway(log, path).start()
    assert not third.spools(TOPIC, 0)
    await third.stop()


async def test_workers_share_the_lanes(log: EmbeddedBroker, path: Path) -> None:
    workers = [await Gateway(log, path).start(TOPIC, away={TOPIC}) for _ in range(2)]
    workers[0].strand()
    for n in range(20):
        worker = workers[n % 2]
        assert worker.spools(TOPIC, 0)
        await worker.publish(numbered(n, 1))
    for worker in workers:
        worker.log.away = ()
    await drained(workers[0])
    assert not workers[1].spools(TOPIC, 0)
    await workers[1].publish(numbered(20, 1))
    assert await values(log, TOPIC) == numbers(21)
    for worker in workers:
        await worker.stop()


async def test_another_worker_goes_on_where_one_ends(log: EmbeddedBroker, path: Path) -> None:
    workers = [await Gateway(log, path).start(TOPIC, away={TOPIC}) for _ in range(2)]
    for partition in range(2):
        workers[0].strand(partition)
        await workers[0].publish(numbered(0, 100), partition)
    await workers[0].stop()
    workers[1].log.away = ()
    for partition in range(2):
        await drained(workers[1], partition)
        assert list(dict.fromkeys(await values(log, TOPIC, partition))) == numbers(100)
    await workers[1].stop()


async def test_a_topic_that_grew_begins_anew_and_what_it_had_drains(log: EmbeddedBroker, path: Path) -> None:
    first = await Gateway(log, path).start(away={TOPIC})
    first.strand(1)
    await first.publish(numbered(0, 3), 1)
    await first.stop()
    second = Gateway(log, path)
    await second.spool.start({TOPIC: 5})
    assert not second.spools(TOPIC, 1)
    second.spool.relieve(TOPIC, 4, [], "it is away")
    assert second.spools(TOPIC, 4)
    await second.spool.drain_into(await log.publisher())
    member = await Member().start(log, "reader", TOPIC)
    await member.until_read(3)
    await member.stop()
    await second.spool.close()
    assert await values(log, TOPIC, 1) == numbers(3)


async def test_a_full_spool_takes_only_what_is_precious_and_then_nothing(log: EmbeddedBroker, path: Path) -> None:
    room = 1_000_000
    gateway = await Gateway(log, path, max_bytes=room).start(away={TOPIC})
    gateway.strand()
    taken = await fill(gateway, room, precious=False)
    assert taken > 30
    assert "the spool is full" in (gateway.publisher.fault() or "")
    precious = await fill(gateway, room, precious=True)
    assert 1 <= precious < taken
    gateway.log.away = ()
    await drained(gateway)
    await eventually(lambda: gateway.publisher.fault() is None, "room again")
    assert len(await values(log, TOPIC)) == taken + precious
    await gateway.stop()


async def fill(gateway: Gateway, room: int, *, precious: bool) -> int:
    """Publish events of 20 kB until the spool is full; return how many it took."""
    for taken in range(room // 20_000):
        try:
            await gateway.publisher.publish(TOPIC, 0, [message(bytes(20_000))], precious=precious)
        except SpoolFull as error:
            assert re.fullmatch(r"\d+ bytes are spooled, 1000000 may be", str(error))  # noqa: PT017  # what it took is wanted too
            return taken
    raise AssertionError("it is never full")


async def test_it_says_what_it_holds(gateway: Gateway) -> None:
    gateway.log.away = {TOPIC}
    gateway.strand()
    await gateway.publish(numbered(0, 2_500))
    records = gateway.metrics.spool_records.labels("demo")
    oldest = gateway.metrics.spool_oldest_timestamp_seconds
    await eventually(lambda: _value(records) == 2_500, "the records told")
    assert _value(oldest) > 1_700_000_000
    assert _value(gateway.metrics.spool_bytes) > 0
    assert gateway.publisher.fault() is None, "it takes what comes"
    gateway.log.away = ()
    await eventually(lambda: _value(records) == 0 == _value(oldest), "the end of it told")


async def test_what_begins_while_the_ends_are_asked_for_stops_nothing(
    gateway: Gateway, log: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.log.away = {TOPIC, OTHER}
    gateway.strand()
    await gateway.publish(numbered(0, 10))
    drain, store = gateway.spool._drain, gateway.spool._store
    assert drain is not None
    await eventually(lambda: any(not lane.idle for lane in drain._owned.values()), "the first topic's lane busy")
    ends, began = store.log_ranges, asyncio.Event()

    async def slow_ends(topics: Collection[str]) -> Mapping[TopicPartition, LogRange]:
        found = await ends(topics)
        if topics and not began.is_set():
            gateway.strand(topic=OTHER)
            await gateway.publish(numbered(0, 1), topic=OTHER)
            await eventually(
                lambda: any(not lane.idle for place, lane in drain._owned.items() if OTHER in place.topic),
                "the other topic's lane busy",
            )
            began.set()
        return found

    monkeypatch.setattr(store, "log_ranges", slow_ends)
    await asyncio.wait_for(began.wait(), 10)
    gateway.log.away = ()
    await drained(gateway)
    await drained(gateway, topic=OTHER)
    assert not any(task.done() for task in drain._tasks), "it reads and commits on"
    assert len(await values(log, TOPIC)) == 10
    assert await values(log, OTHER) == numbers(1)


def _value(gauge: object) -> float:
    value = gauge._value.get()  # type: ignore[attr-defined]
    assert isinstance(value, float)
    return value


async def test_a_disk_that_takes_nothing_is_said_at_once_and_tried_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.log.away = {TOPIC}
    gateway.strand()
    monkeypatch.setattr("broker.spool.spool._TRY_SECONDS", 0.1)
    publisher = gateway.spool._publisher
    assert publisher is not None
    monkeypatch.setattr(publisher, "fault", lambda: "the disk is full")
    await gateway.publish(numbered(0, 1))  # the one that finds out
    with pytest.raises(Unavailable, match="the disk is full"):
        await gateway.publish(numbered(1, 1))
    await asyncio.sleep(0.11)
    await gateway.publish(numbered(1, 1))
    assert "the disk is full" in (gateway.publisher.fault() or "")


async def test_what_the_disk_changed_is_reported_and_not_delivered(
    log: EmbeddedBroker, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = await Gateway(log, path).start(away={TOPIC})
    first.strand()
    for n in range(3):
        await first.publish(numbered(2 * n, 2))
    await first.stop()
    await asyncio.to_thread(change_the_last_chunk, path)
    second = await Gateway(log, path).start()
    await drained(second)
    await second.stop()
    assert await values(log, TOPIC) == numbers(4)
    assert "first_offset=4 lost_records=2 event='log damaged' level='error'" in capsys.readouterr().err


def change_the_last_chunk(path: Path) -> None:
    connection = sqlite3.connect(DataDirectory(path).database(LogFile.EVENTS), isolation_level=None)
    position, records = connection.execute("SELECT max(position), records FROM chunks").fetchone()
    changed = records[:-1] + bytes([records[-1] ^ 1])
    connection.execute("UPDATE chunks SET records = ? WHERE position = ?", (changed, position))
    connection.close()


async def test_a_torn_end_is_reported_and_what_was_answered_is_there(
    log: EmbeddedBroker, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = await Gateway(log, path).start(away={TOPIC})
    first.strand()
    await first.publish(numbered(0, 3))
    crashed = tmp_path / "crashed"
    await asyncio.to_thread(copy_with_a_torn_end, path, crashed)
    await first.stop()
    second = await Gateway(log, crashed).start()
    await drained(second)
    await second.stop()
    assert await values(log, TOPIC) == numbers(3)
    assert "pages=1 event='spool torn at its end" in capsys.readouterr().err


def copy_with_a_torn_end(path: Path, to: Path) -> None:
    """Copy what a power cut would leave: the files as they are, with a last frame that did not get whole to the disk."""
    to.mkdir()
    source = DataDirectory(path).database(LogFile.EVENTS)
    for suffix in ("", "-wal"):
        content = source.with_name(source.name + suffix).read_bytes()
        if suffix:
            frame = 24 + 4096
            last = content[32:][-frame:]
            content += last[:-100] + bytes(100)
        (to / (source.name + suffix)).write_bytes(content)


async def test_a_file_that_is_no_log_any_more_is_put_aside(
    log: EmbeddedBroker, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = await Gateway(log, path).start(away={TOPIC})
    first.strand()
    await first.publish(numbered(0, 200))
    await first.stop()
    database = DataDirectory(path).database(LogFile.EVENTS)
    size = await asyncio.to_thread(spoil, database)
    second = await Gateway(log, path).start(away={TOPIC})
    second.strand()
    await second.publish(numbered(0, 1))
    second.log.away = ()
    await drained(second)
    await second.stop()
    assert await values(log, TOPIC) == numbers(1)
    (aside,) = await asyncio.to_thread(lambda: list(path.glob("damaged-*")))
    assert DataDirectory(aside).database(LogFile.EVENTS).stat().st_size == size
    assert "event='spool damaged: events in it cannot be delivered' level='error'" in capsys.readouterr().err


def spoil(database: Path) -> int:
    content = bytearray(database.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    database.write_bytes(content)
    return len(content)


async def test_lanes_that_are_opened_later_drain_beside_those_that_were_there(log: EmbeddedBroker, path: Path) -> None:
    gateway = await Gateway(log, path).start(TOPIC, away={TOPIC, OTHER})
    gateway.strand()
    await gateway.publish(numbered(0, 2))
    await gateway.spool.open_lanes({OTHER: 2})
    gateway.strand(topic=OTHER)
    await gateway.publish(numbered(0, 3), topic=OTHER)
    gateway.log.away = ()
    await drained(gateway)
    await drained(gateway, topic=OTHER)
    await gateway.stop()
    assert await values(log, TOPIC) == numbers(2)
    assert await values(log, OTHER) == numbers(3)


@pytest.fixture
def shut(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "file"
    place.write_text("not a directory")
    return place / "spool"  # type: ignore[return-value]


async def test_a_place_that_cannot_be_used_is_said(log: EmbeddedBroker, shut: Path) -> None:
    with pytest.raises(Unavailable, match=r"the spool .*/file/spool cannot be used: .*; set gateway\.spool_path"):
        await Gateway(log, shut).start()


async def test_what_cannot_be_spooled_fails_for_its_caller(gateway: Gateway) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    await gateway.spool.close()
    gateway.spool.relieve(TOPIC, 0, [Stranded(numbered(0, 1), future)], "it is away")
    with pytest.raises(Unavailable, match="is not open"):
        await future
