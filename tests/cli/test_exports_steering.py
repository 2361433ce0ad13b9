from __future__ import annotations

import asyncio
import dataclasses
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from broker.startup import MissingTopics
from cli import log
from cli.exports.backfill import Period, backfill
from cli.exports.book import read_book
from cli.exports.desk import PATIENCE, Desk, Wish, at_desk
from cli.exports.run import run
from cli.exports.steering import Steering, read_wishes
from runtime.errors import OperatorError
from schemas.commands import Backfill, ExportCommand, command_key
from schemas.ledger import Task
from schemas.topics import COMMANDS, LEDGER, SCHEDULER_GROUP, partition_of
from tests.broker.member import Member
from tests.cli.export_views import ACCOUNT, a_shop, a_state, an_export

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from broker.interface import Broker
    from runtime.settings import Settings
    from schemas.ledger import ExportState

DAYS = Period(date(2026, 1, 1), date(2026, 1, 2))
PAUSE = Wish(
    change=lambda command: replace(command, state="paused"),
    obeyed=lambda state: state.status == "paused",
    done="paused",
    asked="asked to pause",
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return a_shop(tmp_path, an_export())


def with_patience(desk: Desk, patience: float) -> Desk:
    return dataclasses.replace(desk, patience=patience)


@pytest.fixture
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    """A desk of somebody impatient."""
    async with at_desk(settings, settings.exports) as desk:
        yield with_patience(desk, 0.05)


@pytest.fixture
async def broker(settings: Settings) -> AsyncIterator[Broker]:
    async with log.opened(settings) as broker:
        yield broker


async def write(broker: Broker, topic: str, partition_key: bytes, key: bytes, value: bytes | None) -> None:
    publisher = await broker.publisher()
    partition = partition_of(partition_key, await broker.partitions(topic))
    await publisher.publish(topic, partition, [(key, value, ())])
    await publisher.close()


async def report(broker: Broker, state: ExportState) -> None:
    """Say in the ledger where the export stands, as its owner would."""
    await write(broker, LEDGER, ACCOUNT.encode(), b"daily", msgspec.json.encode(state))


async def test_nobody_who_steers_at_once_loses_a_wish(desk: Desk, broker: Broker) -> None:
    changes = [partial(replace, run="r"), partial(replace, cancel="c"), partial(replace, resume="s")]

    await asyncio.gather(*(Steering(broker).change("daily", None, change) for change in changes))

    assert await desk.steering.present("daily") == ExportCommand(run="r", cancel="c", resume="s")
    assert await read_wishes(broker) == {"daily": ExportCommand(run="r", cancel="c", resume="s")}


async def test_what_changes_nothing_is_not_written(desk: Desk, broker: Broker) -> None:
    for _ in range(2):
        await desk.change("daily", PAUSE.change)

    assert len([record async for record in broker.read(COMMANDS)]) == 1


async def test_a_backfill_that_is_finished_leaves_the_command(desk: Desk) -> None:
    asked = [Backfill(id=each, start="2026-01-01", end=f"2026-01-0{each}") for each in "123"]
    state = a_state(backfills=["1", "2"], tasks=[Task(id="2", asked=("", ""), left=[])])
    await desk.change("daily", lambda command: replace(command, backfills=asked))

    kept = await desk.steering.change("daily", state, PAUSE.change)

    assert [each.id for each in kept.backfills] == ["2", "3"]


async def test_a_command_that_cannot_be_read_is_named(desk: Desk, broker: Broker) -> None:
    await write(broker, COMMANDS, command_key("daily"), command_key("daily"), b"{")

    with pytest.raises(OperatorError, match="the present command of daily cannot be read"):
        await desk.steering.present("daily")


async def test_where_nobody_obeys_a_hint_is_given_and_the_wish_stays(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await desk.make(["daily"], PAUSE) == 0

    said = capsys.readouterr()
    assert said.out == "daily: asked to pause\n"
    assert said.err == (
        "sluice: no scheduler obeyed within 0.05 s; what is wanted stays written until one does: "
        "none is a member of the group sluice-scheduler; start `sluice scheduler`, with this configuration\n"
    )
    assert (await desk.steering.present("daily")).state == "paused"


async def test_a_scheduler_that_does_not_obey_is_told_of(
    desk: Desk, broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    scheduler = await Member().start(broker, SCHEDULER_GROUP, LEDGER)
    await scheduler.until_owned(await broker.partitions(LEDGER))

    assert await desk.make(["daily"], PAUSE) == 0

    assert capsys.readouterr().err.endswith(
        ": one is in the group sluice-scheduler, and the owner of the account shop-profit should have; "
        "does it run with this configuration?\n"
    )
    await scheduler.stop()


async def test_a_run_that_nobody_takes_up_is_waited_for_as_long_as_was_said(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.wait_for(run(desk, ["daily"], wait=True, seconds=0.2), 10) == 1

    said = capsys.readouterr()
    assert said.out == "daily: not taken up yet\n"
    hint, end = said.err.splitlines()
    assert "none is a member of the group sluice-scheduler" in hint
    assert end.startswith("sluice: not ended within 0.2 s; nothing is cancelled:")
    assert (await desk.steering.present("daily")).run
    assert (await desk.steering.present("daily")).cancel == ""


async def test_a_run_that_is_under_way_is_not_waited_for_longer_either(
    desk: Desk, broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    running = asyncio.create_task(run(with_patience(desk, PATIENCE), ["daily"], wait=True, seconds=2))
    while not (nonce := (await desk.steering.present("daily")).run):
        assert not running.done()
    await report(broker, a_state(run=nonce))

    assert await asyncio.wait_for(running, 10) == 1
    assert capsys.readouterr().out == "daily: is being pulled\n"


async def test_whoever_obeys_is_heard(desk: Desk, broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    patient = with_patience(desk, PATIENCE)
    made = asyncio.create_task(patient.make(["daily"], PAUSE))
    await report(broker, a_state())
    await report(broker, a_state(status="paused"))

    assert await asyncio.wait_for(made, 10) == 0
    assert capsys.readouterr() == ("daily: paused\n", "")


async def test_what_is_paused_is_not_run(desk: Desk) -> None:
    await desk.change("daily", PAUSE.change)

    with pytest.raises(OperatorError, match="daily is paused; `sluice exports resume daily` comes first"):
        await run(desk, ["daily"], wait=True)
    assert (await desk.steering.present("daily")).run == ""


async def test_a_backfill_is_asked_for_once_until_it_is_done(
    desk: Desk, broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(quiet=True)
    assert [await backfill(desk, "daily", DAYS, console, wait=False) for _ in range(2)] == [0, 0]
    (asked,) = (await desk.steering.present("daily")).backfills
    span = ("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")

    watching = asyncio.create_task(backfill(desk, "daily", DAYS, console, wait=True))
    await report(broker, a_state(backfills=[asked.id], tasks=[Task(id=asked.id, asked=span, left=[span])]))
    await report(broker, a_state(backfills=[asked.id], rows=2))

    assert await asyncio.wait_for(watching, 10) == 0
    assert capsys.readouterr().out.splitlines() == [
        "daily: backfill of 2026-01-01 to 2026-01-02 asked for",
        "daily: backfill of 2026-01-01 to 2026-01-02 is asked for already",
        "daily: backfill of 2026-01-01 to 2026-01-02 is asked for already",
        "daily: done; 2 rows stand",
    ]
    await backfill(desk, "daily", DAYS, console, wait=False)
    assert [each.id != asked.id for each in (await desk.steering.present("daily")).backfills] == [True]


async def test_where_no_scheduler_ever_ran_nothing_is_known(tmp_path: Path) -> None:
    async with log.opened(a_shop(tmp_path, an_export())) as broker:
        assert (await read_book(broker)).exports == []
        assert await read_wishes(broker) == {}


async def test_topics_that_may_not_be_created_are_named(tmp_path: Path) -> None:
    settings = a_shop(tmp_path, an_export(), create_topics=False)

    with pytest.raises(MissingTopics, match=r"topics are missing: scheduler\.ledger, commands"):
        async with at_desk(settings, settings.exports):
            raise AssertionError
