"""Two forwarders as real processes in one group, killed in turn while the API fails."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from broker.interface import LogRange
from consumers.offsets.memory import remembered
from consumers.offsets.tracker import DELIVERED
from schemas.topics import FORWARDER_GROUP, events_topic
from tests.chance import seeded
from tests.chaos.role import Role
from tests.consumers.shop import KEY
from tests.consumers.sink import HTML, OK, RESET, Got, Say, until
from tests.consumers.town import eventually
from tests.kafka.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.consumers.town import Builder, Town

POISON = {f"{key}{number}" for key in "adg" for number in (7, 80)}


def configuration(town: Town) -> str:
    """The town's settings as a file."""
    broker = town.settings.broker
    [storefront] = town.settings.storefronts
    return f"""\
[broker]
kind = "{broker.kind}"
path = "{broker.path}"
bootstrap_servers = "{broker.bootstrap_servers}"
replication_factor = 1

[forwarder]
max_batch_events = 20
max_batch_wait_ms = 20

[[storefronts]]
name = "{storefront.name}"
publishable_keys = ["tolk_pub_{storefront.name}"]
partitions = {storefront.partitions}
[storefronts.ingestion]
url = "{storefront.ingestion.url}"
api_key = "{KEY}"
"""


@pytest.fixture
def roles(tmp_path: Path) -> Iterator[list[Role]]:
    with ExitStack() as stack:
        arguments = ["forwarder", "--config", str(tmp_path / "sluice.toml")]
        made = [
            Role(f"forwarder {number}", arguments, port, tmp_path / f"forwarder-{number}.log")
            for number, port in enumerate(free_ports(2))
        ]
        for role in made:
            stack.callback(role.close)
        yield made


@pytest.mark.timeout(180)
async def test_two_forwarders_killed_in_turn_lose_nothing_and_keep_order(
    builder: Builder, roles: list[Role], tmp_path: Path
) -> None:
    town = await builder.town(partitions=4)
    await asyncio.to_thread((tmp_path / "sluice.toml").write_text, configuration(town))
    chance = seeded(11)

    def answer(got: Got) -> Say:
        bad = [index for index, name in enumerate(got.names) if name in POISON]
        if chance.random() < 0.2:
            return chance.choice([Say(500), HTML, RESET, Say(503)])
        return Say(200, {"ok": True, "errors": [f"events[{index}]: no" for index in bad]}) if bad else OK

    town.sink.answer = answer
    sent = [f"{key}{number}" for number in range(150) for key in "abcdefgh-"]
    parts = [sent[start : start + 450] for start in range(0, len(sent), 450)]
    for role in roles:
        role.start()
    for role in roles:
        await asyncio.to_thread(role.wait_ready)
    for index, part in enumerate(parts):
        await town.accept(*part)
        before = len(town.sink.got)
        await until(lambda: len(town.sink.got) > before + 2, seconds=60)  # noqa: B023 - it is awaited at once
        victim = roles[index % 2]
        await asyncio.to_thread(victim.kill)
        victim.start()

    async def settled() -> bool:
        for role in roles:
            role.require_alive()
        balance = await town.balance()
        assert balance.unaccounted == 0, "at every moment"
        return balance.waiting == 0

    await eventually(settled, seconds=90)
    balance = await town.balance()
    assert (balance.accepted, balance.delivered, balance.dead_lettered) == (
        len(sent),
        len(sent) - len(POISON),
        len(POISON),
    )
    arrivals = town.sink.first_arrivals()
    assert sorted(arrivals) == sorted(sent)
    for key in "abcdefgh":
        mine = [name for name in arrivals if name[0] == key]
        assert mine == [f"{key}{number}" for number in range(150)]
    letters = {dict(letter.headers)["ce_id"].decode() for letter in await town.dead_letters()}
    assert letters == POISON


@pytest.mark.timeout(180)
async def test_the_successor_of_a_killed_forwarder_sends_nothing_again_that_was_finished_behind_a_stuck_key(
    builder: Builder, roles: list[Role], tmp_path: Path
) -> None:
    town = await builder.town(partitions=1)
    [role, _] = roles
    await asyncio.to_thread((tmp_path / "sluice.toml").write_text, configuration(town))
    town.sink.answer = lambda got: Say(500) if "a0" in got.names else OK
    role.start()
    await asyncio.to_thread(role.wait_ready)
    await town.accept("a0")
    await until(lambda: town.sink.got, seconds=20)
    others = [f"{key}{number}" for number in range(40) for key in "bcdefgh-"]
    await town.accept(*others, "a1")
    topic = events_topic(town.names[0])

    async def written() -> bool:
        [commit] = (await town.broker.committed(FORWARDER_GROUP, [topic])).values()
        end = len(others) + 2
        return commit is not None and remembered(commit, LogRange(0, end)).finished.count(DELIVERED) == len(others)

    await eventually(written)
    await asyncio.to_thread(role.kill)
    balance = await town.balance()
    assert (balance.waiting, balance.unaccounted) == (len(others) + 2, 0)
    before = len(town.sink.got)
    town.sink.answer = lambda _got: OK
    role.start()

    async def settled() -> bool:
        return (await town.balance()).waiting == 0

    await eventually(settled, seconds=40)
    assert [name for names in town.sink.names[before:] for name in names] == ["a0", "a1"]
    balance = await town.balance()
    assert (balance.delivered, balance.unaccounted) == (len(others) + 2, 0)
    # Whoever is killed stays in the group for a while, which others share.
    assert await asyncio.to_thread(role.terminate) == 0
