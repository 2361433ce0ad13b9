from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.cli.events import log_of, publish
from tests.cli.sluice import Installation, finish, install

if TYPE_CHECKING:
    from pathlib import Path

TOPIC = "ecommerce.events.shop"
HEADERS = [("ce_type", b"ecommerce.view_item"), ("ce_id", b"abc-0")]
VALUE = '{"event_type":"view_item", "price":1.10, "name":"Wollmütze"}'.encode()


@pytest.fixture
def sluice(tmp_path: Path) -> Installation:
    return install(tmp_path)


async def test_json_lines_hold_the_whole_record(sluice: Installation) -> None:
    async with log_of(sluice) as broker:
        await publish(broker, TOPIC, 2, (b"user-1", VALUE, HEADERS))
        await publish(broker, TOPIC, 2, (None, b"no json \xff", []), (b"k", None, []))

        done = await sluice.run("tail", TOPIC, "--from-beginning", "--max", "3", "--json")

    first, second, third = done.objects()
    assert list(first) == ["topic", "partition", "offset", "timestamp", "key", "headers", "value"]
    assert first["timestamp"].endswith("Z")
    assert (first["topic"], first["partition"], first["offset"], first["key"]) == (TOPIC, 2, 0, "user-1")
    assert first["headers"] == {"ce_type": "ecommerce.view_item", "ce_id": "abc-0"}
    assert VALUE.decode() in done.out, "digit for digit"
    assert (second["key"], second["value"]) == (None, "no json \\xff")
    assert (third["offset"], third["value"]) == (2, None)
    assert (done.code, done.err) == (0, "")


async def test_a_value_with_line_feeds_stays_on_one_line(sluice: Installation) -> None:
    async with log_of(sluice) as broker:
        await publish(broker, TOPIC, 0, (b"k", b'{"a":\n 1}', []))

        done = await sluice.run("tail", TOPIC, "--from-beginning", "--max", "1", "--json")

    assert done.objects()[0]["value"] == {"a": 1}


async def test_people_see_time_place_key_type_and_value(sluice: Installation) -> None:
    async with log_of(sluice) as broker:
        await publish(broker, TOPIC, 1, (b"user-1\x1b[31m", VALUE, HEADERS))

        done = await sluice.run("tail", TOPIC, "--from-beginning", "--max", "1")

    time, place, key, kind, value = done.out.split(maxsplit=4)
    assert time.endswith("Z")
    assert (place, key, kind) == ("1:0", "user-1·[31m", "view_item")
    assert value == VALUE.decode() + "\n"


async def test_it_follows_from_the_present_end_until_ctrl_c(sluice: Installation) -> None:
    async with log_of(sluice) as broker:
        await publish(broker, TOPIC, 0, (b"old", VALUE, HEADERS))
        async with sluice.started("tail", TOPIC, "--json") as process:
            assert process.stdout is not None
            line = asyncio.create_task(process.stdout.readline())
            number = 0
            async with asyncio.timeout(30):
                while not line.done():  # until it has found the end and follows
                    number += 1
                    await publish(broker, TOPIC, 0, (str(number).encode(), VALUE, HEADERS))
                    await asyncio.wait({line}, timeout=0.2)
            done = await finish(process, signal.SIGINT)

    assert orjson.loads(line.result())["key"].isdigit()
    assert (done.code, done.err) == (0, "")


async def test_a_reader_that_has_seen_enough_is_no_error(sluice: Installation) -> None:
    async with log_of(sluice) as broker:
        await publish(broker, TOPIC, 0, *[(b"k", VALUE, HEADERS)] * 2000)

        async with sluice.started("tail", TOPIC, "--from-beginning", "--json") as process:
            assert process.stdout is not None
            assert await process.stdout.readline()
            process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # what `| head -1` does
            async with asyncio.timeout(30):
                assert process.stderr is not None
                error = await process.stderr.read()
                code = await process.wait()

    assert (code, error) == (0, b"")


async def test_an_unknown_topic_is_one_line_with_what_may_have_been_meant(sluice: Installation) -> None:
    async with log_of(sluice):
        misspelt, short, strange = await asyncio.gather(
            *(sluice.run("tail", topic) for topic in ("ecommerce.event.shop", "rejected", "zzz"))
        )

    assert misspelt.code == short.code == strange.code == 1
    assert misspelt.err == "sluice: there is no topic ecommerce.event.shop; did you mean ecommerce.events.shop?\n"
    assert short.err == "sluice: there is no topic rejected; did you mean ecommerce.rejected?\n"
    assert strange.err == "sluice: there is no topic zzz; `sluice topics ensure` lists the topics\n"
