"""`sluice dead-letters` in this process, on a log that a forwarder has left."""

from __future__ import annotations

import asyncio
import io
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pytest

from broker.interface import LogRange, TopicPartition
from cli import main as command_line
from cli.dead_letters.places import missing
from consumers.letters.dead_letters import Reason
from consumers.letters.index import LetterIndex
from consumers.letters.letter import Place, Settled
from tests.cli.events import log_of
from tests.cli.letters import bury, events, settle
from tests.cli.sluice import Done, Installation, install

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping
    from pathlib import Path

    from broker.interface import Broker
    from runtime.errors import OperatorError

R = TypeVar("R")


class Terminal(io.StringIO):
    """Where somebody sits who answers."""

    def isatty(self) -> bool:
        return True


class Desk(NamedTuple):
    """The command line of an installation, in this process."""

    sluice: Installation
    captured: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *arguments: str, answer: str | None = None) -> Done:
        self.monkeypatch.setattr(sys, "stdin", Terminal(answer) if answer is not None else io.StringIO("y\n"))
        with pytest.raises(SystemExit) as ended:
            command_line.main(["dead-letters", *arguments, "--config", str(self.sluice.config)])
        out, err = self.captured.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, out, err)

    def on_log(self, work: Callable[[Broker], Awaitable[R]]) -> R:
        async def run() -> R:
            async with log_of(self.sluice) as broker:
                return await work(broker)

        return asyncio.run(run())

    def names(self, *arguments: str) -> list[str]:
        """The API's words about each letter that is listed name it."""
        return [each["error"].removeprefix("no ") for each in self("list", "--json", *arguments).objects()]

    def events(self, storefront: str = "shop") -> dict[str, list[str]]:
        return self.on_log(lambda broker: events(broker, storefront))


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(install(tmp_path), capsys, monkeypatch)


async def after_a_millisecond(burying: Awaitable[R]) -> R:
    """Bury with another timestamp than anything before has."""
    await asyncio.sleep(0.002)
    return await burying


async def leave(broker: Broker) -> dict[str, Place]:
    """Letters of two storefronts, one settled, one twice, in another order than they were accepted in."""
    places = {
        "a2": await bury(broker, "a2", 20),
        "a1": await bury(broker, "a1", 10),
        "b1": await bury(broker, "b1", 30, kind="view_cart", reason=Reason.TOO_LARGE),
        "-1": await bury(broker, "-1", 40),
        "o1": await after_a_millisecond(bury(broker, "o1", 50, storefront="old")),
        "a0": await bury(broker, "a0", 5),
    }
    await bury(broker, "a1", 10)
    await settle(broker, places["a0"], b"a", Settled.DISCARDED)
    return places


def test_the_list_shows_what_is_not_settled_and_filters_it(desk: Desk) -> None:
    places = desk.on_log(leave)

    assert sorted(desk.names()) == ["-1", "a1", "a2", "b1", "o1"]
    assert sorted(desk.names("--all")) == ["-1", "a0", "a1", "a2", "b1", "o1"]
    assert desk.names("--storefront", "old") == ["o1"]
    assert desk.names("--reason", "too_large") == desk.names("--type", "view_cart") == ["b1"]
    assert sorted(desk.names("--key", "a", "--type", "ecommerce.purchase")) == ["a1", "a2"]
    assert desk.names("--max", "1") == ["o1"]
    now = datetime.now(UTC)
    assert len(desk.names("--since", "1h")) == len(desk.names("--until", (now + timedelta(hours=1)).isoformat())) == 5
    assert desk.names("--until", "1h") == desk.names("--since", (now + timedelta(hours=1)).isoformat()) == []
    [row] = desk("list", "--json", "--key", "b").objects()
    assert row == {
        "place": str(places["b1"]),
        "dead_lettered_at": row["dead_lettered_at"],
        "storefront": "shop",
        "type": "view_cart",
        "reason": "too_large",
        "error": "no b1",
        "key": "b",
        "attempts": 1,
        "original": "ecommerce.events.shop/0/30",
        "replayed_from": None,
        "outcome": None,
        "settled_at": None,
    }


def test_the_table_has_a_line_for_each_and_says_how_many_more_there_are(desk: Desk) -> None:
    desk.on_log(leave)

    done = desk("list", "--max", "2", "--all")

    heading, *rows = done.out.splitlines()
    assert heading.split() == [
        *("place", "dead-lettered", "storefront", "type", "reason", "key", "outcome", "error"),
    ]
    assert [row.split()[-1] for row in rows] == ["o1", "a0"]
    assert "discarded" in rows[1]
    assert done.err == "and 4 older ones; --max shows more\n"
    assert desk("list", "--type", "refund").out == "no unsettled dead letters\n"


def test_show_prints_one_whole(desk: Desk) -> None:
    places = desk.on_log(leave)

    text = desk("show", places["a0"].full).out
    [data] = desk("show", str(places["a1"]), "--json").objects()

    assert "outcome       discarded" in text
    assert "ce_id: a0" in text
    assert '"name": "a0"' in text
    assert data["error"] == "no a1"
    assert data["record"]["value"] == {"name": "a1"}
    assert data["record"]["headers"]["ce_type"] == "ecommerce.purchase"


def test_of_a_user_who_was_deleted_nothing_is_shown(desk: Desk) -> None:
    async def forget(broker: Broker) -> Place:
        place = await bury(broker, "a1", 1)
        await settle(broker, place, b"a", Settled.USER_DELETED)
        return place

    place = str(desk.on_log(forget))
    text = desk("show", place).out
    assert "outcome       user_deleted" in text
    assert "ce_id" not in text
    assert '"name"' not in text
    [data] = desk("show", place, "--json").objects()
    assert (data["outcome"], data["record"]) == ("user_deleted", None)
    assert desk("list").out == desk("replay", "--all", "--yes").out == "no unsettled dead letters\n"


@pytest.mark.parametrize(
    ("place", "code", "told"),
    [
        ("0/999", 1, "there is no dead letter 0/999: the partition ends before "),
        ("99/0", 1, "there is no dead letter 99/0: ecommerce.dead-letters has 3 partitions"),
        ("x", 2, "'x' is no place of a dead letter: partition/offset, like 3/17"),
    ],
)
def test_what_is_not_there_is_one_clear_line(desk: Desk, place: str, code: int, told: str) -> None:
    desk.on_log(leave)
    for command in ("show", "replay", "discard"):
        done = desk(command, place, *(() if command == "show" else ("--yes",)))
        assert done.code == code
        assert told in done.err.splitlines()[-1]


def test_one_that_has_expired_is_told_as_such(desk: Desk) -> None:
    async def expired(broker: Broker) -> OperatorError | None:
        await leave(broker)

        async def later(topics: Collection[str]) -> Mapping[TopicPartition, LogRange]:
            return {TopicPartition(topic, 0): LogRange(5, 9) for topic in topics}

        desk.monkeypatch.setattr(broker, "log_ranges", later)
        with LetterIndex() as index:
            return await missing(broker, index, [Place(0, 4)])

    assert str(desk.on_log(expired)) == "dead letter 0/4 has expired: they are kept for 40 days"


def test_what_settles_a_letter_is_none(desk: Desk) -> None:
    places = desk.on_log(leave)
    place = places["a0"]._replace(offset=places["a0"].offset + 2)
    told = f"sluice: {place} is no dead letter: what stands there settles one, or Sluice did not write it\n"
    assert desk("show", str(place)).err == told


def test_a_replay_keeps_the_order_of_each_key_and_settles_every_copy(desk: Desk) -> None:
    desk.on_log(leave)

    done = desk("replay", "--storefront", "shop", answer="y\n")

    assert (done.code, done.out) == (0, "replayed 4 dead letters\n")
    assert "Replay 4 dead letters of shop?" in done.err
    assert desk.events() == {"a": ["a1", "a2"], "b": ["b1"], "-": ["-1"]}
    assert desk.names() == ["o1"]
    outcomes = {each["error"]: each["outcome"] for each in desk("list", "--json", "--all").objects()}
    assert outcomes["no a1"] == outcomes["no b1"] == "replayed"
    again = desk("replay", "--storefront", "shop", "--yes")
    assert (again.code, again.out) == (0, "no unsettled dead letters\n")
    assert sum(map(len, desk.events().values())) == 4


def test_a_replayed_event_is_as_it_was_and_says_which_letter_it_was(desk: Desk) -> None:
    places = desk.on_log(leave)
    desk("replay", str(places["b1"]), "--yes")

    async def headers(broker: Broker) -> list[dict[str, bytes]]:
        return [dict(each.headers) async for each in broker.read("ecommerce.events.shop")]

    place = places["b1"].full.encode()
    assert desk.on_log(headers) == [{"ce_id": b"b1", "ce_type": b"ecommerce.view_cart", "replayed_from": place}]


def test_discarding_settles_and_publishes_nothing(desk: Desk) -> None:
    places = desk.on_log(leave)

    done = desk("discard", str(places["a1"]), str(places["o1"]), "--yes")

    assert (done.code, done.out) == (0, "discarded 2 dead letters\n")
    assert desk.events() == {}
    assert sorted(desk.names()) == ["-1", "a2", "b1"]
    settled = desk("replay", str(places["a1"]), "--yes")
    assert settled.code == 1
    assert f"sluice: dead letter {places['a1']} is settled: discarded" in settled.err


def test_of_many_the_oldest_are_taken(desk: Desk) -> None:
    desk.on_log(leave)
    assert desk("replay", "--key", "a", "--max", "1", "--yes").out == "replayed 1 dead letter\n"
    assert desk.events() == {"a": ["a2"]}


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_without_a_yes_nothing_is_done(desk: Desk, answer: str) -> None:
    desk.on_log(leave)
    done = desk("discard", "--all", answer=answer)
    assert done.code == 1
    assert done.err.splitlines()[-1].endswith("nothing was done" if answer else "Aborted!")
    assert len(desk.names()) == 5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("replay",), "say which: places (see `sluice dead-letters list`), filters, or --all"),
        (("discard", "0/1", "--key", "a"), "give places or filters, not both"),
        (("list", "--since", "yesterday"), "'yesterday' is no time: write it like 2026-01-31"),
        (("list", "--reason", "bad"), "'bad' is not one of 'refused_by_name'"),
        (("list", "--type", "purchas"), "there is no event type purchas; did you mean purchase?"),
        (("list", "--storefront", "shob"), "no storefront is called shob; did you mean shop?"),
        (("list", "--since", "1h", "--until", "2h"), "--since is to be before --until"),
        (
            ("replay", "--all"),
            "there is no terminal to ask at: see what `sluice dead-letters list` says, then give --yes",
        ),
    ],
)
def test_what_is_used_wrongly_is_told(desk: Desk, arguments: tuple[str, ...], told: str) -> None:
    done = desk(*arguments)
    assert done.code == 2
    assert told in done.err


def test_letters_of_a_storefront_that_is_gone_are_not_replayed(desk: Desk) -> None:
    desk.on_log(leave)
    done = desk("replay", "--all", "--yes")
    assert done.code == 1
    assert done.err.startswith("sluice: 1 dead letter of old: nobody forwards for old; configure it, choose others")
    assert desk.events() == {}
    assert desk("discard", "--storefront", "old", "--yes").code == 0


def test_one_that_is_too_large_for_its_topic_stays_and_the_others_go(desk: Desk) -> None:
    async def leave_large(broker: Broker) -> Place:
        await bury(broker, "a1", 1)
        large = await bury(broker, "a2", 2, size=3 * 1024 * 1024)
        await bury(broker, "a3", 3)
        return large

    place = desk.on_log(leave_large)
    done = desk("replay", "--all", "--yes")
    assert done.code == 1
    first, second = done.out.splitlines()
    assert first == "replayed 2 of 3 dead letters"
    assert second.startswith(f"{place}: 3,145,")
    assert second.endswith("are more than ecommerce.events.shop takes; raise its max.message.bytes, or discard it")
    assert desk.events() == {"a": ["a1", "a3"]}
    assert desk.names() == ["a2"]


def test_where_nothing_ever_ran_there_is_nothing(desk: Desk) -> None:
    assert desk("list").out == "no unsettled dead letters\n"
    assert desk("show", "0/0").err == "sluice: there is no dead letter 0/0: there is no topic ecommerce.dead-letters\n"
