"""`sluice storefronts` in this process, on a log that a forwarder has left."""

from __future__ import annotations

import asyncio
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from prometheus_client import generate_latest

from broker.interface import Commit, TopicPartition
from cli import main as command_line
from cli.storefronts.resting import WORDS
from consumers.brake import DEAD_LETTER_LIMIT, MANUAL
from consumers.offsets.tally import Tally
from consumers.steering import change, read_commands
from runtime.metrics import PAUSE_REASONS, Metrics
from schemas.commands import Parked, StorefrontCommand, storefront_key
from schemas.topics import COMMANDS, FORWARDER_GROUP, partition_of
from tests.cli.events import commit, log_of, publish
from tests.cli.letters import bury
from tests.cli.sluice import Done, Installation, install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOPIC = "ecommerce.events.shop"
PARKED = Parked(since="2026-01-02T03:04:05Z", dead_letters=101, events=1000, run=7, error="items is required")


@pytest.fixture
def sluice(tmp_path: Path) -> Installation:
    return install(tmp_path)


@pytest.fixture
def storefronts(sluice: Installation, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    def run(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            command_line.main(["storefronts", *arguments, "--config", str(sluice.config)])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, out, err)

    return run


def commands(sluice: Installation) -> dict[str, StorefrontCommand]:
    async def read() -> dict[str, StorefrontCommand]:
        async with log_of(sluice) as broker:
            return await read_commands(broker)

    return asyncio.run(read())


def first_since(sluice: Installation) -> str:
    return commands(sluice)["shop"].since


def test_a_storefront_is_paused_and_resumed_and_says_by_whom(
    sluice: Installation, storefronts: Callable[..., Done]
) -> None:
    assert storefronts("pause", "shop", "--why", "they move") == Done(0, "shop: paused\n", "")
    first = commands(sluice)["shop"]
    already = f"shop: was paused already, by {commands(sluice)['shop'].by} at {first_since(sluice)}: they move\n"
    assert storefronts("pause", "shop", "--why", "no") == Done(0, already, "")
    assert commands(sluice)["shop"] == first, "who paused it first did"
    [row] = storefronts("list", "--json").objects()
    assert (row["state"], row["reason"], row["by"], row["since"]) == ("paused", "manual", first.by, first.since)
    assert "@" in first.by
    assert row["why"] == "they move"
    assert f"paused by {first.by}: they move" in storefronts("list").out
    assert storefronts("resume", "shop") == Done(0, "shop: resumed\n", "")
    assert storefronts("resume", "shop").out == "shop: was not paused; its dead letters are counted anew\n"
    [row] = storefronts("list", "--json").objects()
    assert (row["state"], row["reason"], row["by"], row["since"]) == ("active", None, None, None)


def test_the_list_tells_what_waits_what_is_dead_and_why_it_is_parked(
    sluice: Installation, storefronts: Callable[..., Done]
) -> None:
    async def leave() -> None:
        async with log_of(sluice) as broker:
            await publish(broker, TOPIC, 0, *[(b"k", b"{}", [])] * 10)
            tally = Tally(0, 6, 1).encode()
            await commit(broker, FORWARDER_GROUP, TOPIC, {TopicPartition(TOPIC, 0): Commit(7, tally)})
            await bury(broker, "a1", 1)
            await bury(broker, "a1", 1)
            await change(broker, "shop", lambda _: StorefrontCommand(parked=PARKED))

    asyncio.run(leave())

    assert storefronts("list", "--json").objects() == [
        {
            "storefront": "shop",
            "state": "paused",
            "reason": "dead_letter_limit",
            "by": None,
            "why": None,
            "since": "2026-01-02T03:04:05Z",
            "error": "items is required",
            "waiting": 3,
            "dead_letters": 1,
            "told_by": None,
        }
    ]
    heading, row, why, cure = storefronts("list").out.splitlines()
    assert heading.split() == ["storefront", "state", "since", "waiting", "dead", "letters"]
    assert " ".join(row.split()) == "shop parked: too many dead letters 2026-01-02T03:04:05Z 3 1"
    assert why == ('shop: 101 dead letters among the last 1,000 events, 7 in a row; the last one: "items is required"')
    assert cure == "shop: `sluice storefronts resume shop` goes on"
    assert storefronts("resume", "shop").out == "shop: resumed; its dead letters are counted anew\n"
    assert commands(sluice)["shop"].parked is None


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_name_that_nobody_has_is_told_with_those_there_are(storefronts: Callable[..., Done], command: str) -> None:
    assert storefronts(command, "shop", "shoe") == Done(
        2, "", "sluice: no storefront is called shoe; did you mean shop?\n"
    )


def test_where_nothing_ever_ran_everything_is_active(storefronts: Callable[..., Done]) -> None:
    [row] = storefronts("list", "--json").objects()
    assert (row["state"], row["waiting"], row["dead_letters"]) == ("active", None, 0)
    assert storefronts("list").out.splitlines()[1].split() == ["shop", "active", "-", "-", "0"]


@pytest.fixture
def admin(sluice: Installation) -> Iterator[Callable[[str], None]]:
    """Something that serves a page of metrics where the forwarder's are."""
    page = b""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Tell nobody."""

    def say(text: str) -> None:
        nonlocal page
        page = text.encode()

    with HTTPServer(("127.0.0.1", sluice.ports["admin"]), Page) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield say
        server.shutdown()
        thread.join()


def test_the_list_tells_what_a_forwarder_on_this_machine_rests_for(
    sluice: Installation, storefronts: Callable[..., Done], admin: Callable[[str], None]
) -> None:
    metrics = Metrics()
    metrics.initialise_forwarder(["shop"])
    admin(generate_latest(metrics.registry).decode())
    [row] = storefronts("list", "--json").objects()
    assert (row["state"], row["reason"], row["told_by"]) == ("active", None, sluice.url("admin"))

    metrics.forwarder_paused.labels("shop", "quota").set(1)
    admin(generate_latest(metrics.registry).decode())
    [row] = storefronts("list", "--json").objects()
    assert (row["state"], row["reason"]) == ("resting", "quota")
    done = storefronts("list")
    assert "rests: the API's quota is used up" in done.out
    assert done.err == ""

    admin("<html>")
    nobody = f"no forwarder answers at {sluice.url('admin')}: whether one rests by itself is in its log and metrics\n"
    assert storefronts("list").err == nobody


def test_whatever_a_forwarder_may_rest_for_has_words() -> None:
    assert WORDS.keys() == set(PAUSE_REASONS) - {MANUAL, DEAD_LETTER_LIMIT}


def test_a_command_that_cannot_be_read_is_named(sluice: Installation, storefronts: Callable[..., Done]) -> None:
    async def spoil() -> None:
        async with log_of(sluice) as broker:
            key = storefront_key("shop")
            partition = partition_of(key, await broker.partitions(COMMANDS))
            await publish(broker, COMMANDS, partition, (key, b"{", []))

    asyncio.run(spoil())
    done = storefronts("list")
    assert done.code == 1
    assert done.err.startswith("sluice: the present command for shop cannot be read: ")


def test_whoever_changes_it_at_once_loses_nothing(sluice: Installation) -> None:
    async def both() -> StorefrontCommand:
        async with log_of(sluice) as broker, log_of(sluice) as other:

            def paused(present: StorefrontCommand) -> StorefrontCommand:
                return StorefrontCommand(state="paused", parked=present.parked)

            def parked(present: StorefrontCommand) -> StorefrontCommand:
                return StorefrontCommand(state=present.state, parked=PARKED)

            await asyncio.gather(change(broker, "shop", paused), change(other, "shop", parked))
            return (await read_commands(broker))["shop"]

    assert asyncio.run(both()) == StorefrontCommand(state="paused", parked=PARKED)
