"""The writer: order, groups, failures."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from runtime.clock import ManualClock
from sandbox.database import Database
from sandbox.tolinku import deletions
from sandbox.tolinku import writer as writer_module
from sandbox.tolinku.arrivals import Arrivals
from sandbox.tolinku.measure import measure
from sandbox.tolinku.writer import NotStored, Overloaded, Writer
from tests.sandbox.running import VIEW, Running, purchase, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sandbox.tolinku.measure import Measured


def order(transaction: str) -> Measured:
    return measure(purchase(transaction), "{}", "EUR")


@pytest.fixture
async def arrivals(tmp_path: Path) -> AsyncIterator[Arrivals]:
    database = await asyncio.to_thread(Database, tmp_path)
    yield Arrivals(database)
    database.close()


@pytest.fixture
async def writer(arrivals: Arrivals) -> AsyncIterator[Writer]:
    writer = Writer(arrivals, ManualClock())
    await writer.start()
    yield writer
    await writer.close()


async def test_arrivals_are_numbered_in_the_order_of_the_calls(writer: Writer, arrivals: Arrivals) -> None:
    stores = [
        writer.store("acme", [order(f"{n}-{m}") for m in range(n % 4 + 1)], across_types=False) for n in range(200)
    ]
    receipts = await asyncio.gather(*stores)
    first = 1
    for receipt in receipts:
        assert (receipt.first, receipt.ignored) == (first, 0)
        first += receipt.arrived
    assert arrivals.last() == first - 1


async def test_the_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    for number in range(1, 4):
        async with running(tmp_path) as sandbox:
            await sandbox.batch(VIEW)
            assert [each["arrival"] for each in await sandbox.arrivals()] == list(range(1, number + 1))


async def test_what_is_answered_first_arrived_first(sandbox: Running) -> None:
    async def sender(name: str) -> None:
        for number in range(20):
            await sandbox.batch(VIEW | {"user_id": name, "properties": {"seq": str(number)}})

    await asyncio.gather(*(sender(f"u{number}") for number in range(10)))
    lines = await sandbox.arrivals("fields=user_id,arrival&property=properties.seq")
    assert [each["arrival"] for each in lines] == list(range(1, 201))
    for number in range(10):
        mine = [int(each["properties.seq"]) for each in lines if each["user_id"] == f"u{number}"]
        assert mine == list(range(20))


async def test_a_failed_commit_is_told_and_leaves_nothing(writer: Writer, arrivals: Arrivals) -> None:
    unfit = order("o1")._replace(raw=None)  # type: ignore[arg-type] # what the table refuses
    with pytest.raises(NotStored, match="NOT NULL"):
        await writer.store("acme", [order("o0"), unfit], across_types=False)
    assert "NOT NULL" in (writer.fault() or "")
    assert arrivals.last() == 0
    receipt = await writer.store("acme", [order("o0"), order("o1")], across_types=False)
    assert (receipt.first, receipt.ignored) == (1, 0)
    assert writer.fault() is None


async def test_a_sender_that_goes_away_takes_nothing_back(writer: Writer, arrivals: Arrivals) -> None:
    stores = [asyncio.ensure_future(writer.store("acme", [order(str(n))], across_types=False)) for n in range(10)]
    await asyncio.sleep(0)
    stores[3].cancel()
    done = await asyncio.gather(*stores, return_exceptions=True)
    assert isinstance(done[3], asyncio.CancelledError)
    assert arrivals.last() == 10


async def test_too_much_at_once_is_refused(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "PENDING_EVENTS", 3)
    first = asyncio.ensure_future(writer.store("acme", [order("o1"), order("o2")], across_types=False))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await writer.store("acme", [order("o3"), order("o4")], across_types=False)
    await first
    assert (await writer.store("acme", [order("o3"), order("o4")], across_types=False)).first == 3


async def test_closing_commits_what_was_taken(arrivals: Arrivals) -> None:
    writer = Writer(arrivals, ManualClock())
    await writer.start()
    stores = [asyncio.ensure_future(writer.store("acme", [order(str(n))], across_types=False)) for n in range(50)]
    await asyncio.sleep(0)
    await writer.close()
    await writer.close()
    assert len(await asyncio.gather(*stores)) == 50
    assert arrivals.last() == 50


async def test_a_removal_that_fails_shows_in_the_health(
    writer: Writer, arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    await writer.store("acme", [order("o1")._replace(user_id="u1")], across_types=False)
    monkeypatch.setattr(deletions, "REMOVE", "delete from nowhere")
    await writer.remove("acme", "u1")
    await writer.store("acme", [order("o2")], across_types=False)
    assert "users' events cannot be removed" in (writer.fault() or "")
    monkeypatch.undo()
    await writer.close()
    again = Writer(arrivals, ManualClock())
    await again.start()
    assert (await again.store("acme", [order("o3")], across_types=False)).first == 3
    await again.close()
    assert again.fault() is None
    assert sum(row.arrivals for row in arrivals.counts()) == 2


async def test_a_wish_that_cannot_be_written_down_is_refused(writer: Writer, arrivals: Arrivals) -> None:
    with closing(arrivals.connect()) as connection:
        connection.execute("drop table deletions")
    with pytest.raises(NotStored, match="deletions"):
        await writer.remove("acme", "u1")
