from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from broker.interface import Commit, TopicPartition
from consumers.offsets.tally import Tally
from schemas.topics import FORWARDER_GROUP
from tests.cli.events import commit, log_of, publish
from tests.cli.sluice import Installation, install

if TYPE_CHECKING:
    from pathlib import Path

    from broker.interface import Message

TOPIC = "ecommerce.events.shop"
EVENTS: list[Message] = [(b"k", b"{}", [])] * 10


@pytest.fixture
def sluice(tmp_path: Path) -> Installation:
    return install(tmp_path)


async def forwarded(sluice: Installation, tally: Tally, offset: int) -> None:
    async with log_of(sluice) as broker:
        await publish(broker, TOPIC, 0, *EVENTS)
        await commit(broker, FORWARDER_GROUP, TOPIC, {TopicPartition(TOPIC, 0): Commit(offset, tally.encode())})


async def test_what_is_accounted_for_balances(sluice: Installation) -> None:
    await forwarded(sluice, Tally(0, 6, 1), 7)

    rows = await sluice.run("audit", "--json")
    table = await sluice.run("audit")

    assert rows.objects() == [
        {"storefront": "shop", "accepted": 10, "delivered": 6, "dead_lettered": 1, "waiting": 3, "unaccounted": 0}
    ]
    heading, row = table.out.splitlines()
    assert heading.split() == ["storefront", "accepted", "delivered", "dead-lettered", "waiting", "unaccounted"]
    assert row.split() == ["shop", "10", "6", "1", "3", "0"]
    assert rows.code == table.code == 0


async def test_what_is_unaccounted_for_is_exit_code_1(sluice: Installation) -> None:
    await forwarded(sluice, Tally(0, 6, 0), 7)

    rows = await sluice.run("audit", "--json")

    assert rows.objects()[0]["unaccounted"] == 1
    assert rows.code == 1


async def test_topics_that_are_not_there_are_one_clear_line(sluice: Installation) -> None:
    done = await sluice.run("audit")

    assert done.code == 1
    assert done.err.startswith("sluice: ")
    assert TOPIC in done.err
    assert len(done.err.splitlines()) == 1
