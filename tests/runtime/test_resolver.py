from __future__ import annotations

import asyncio
import socket
from threading import Event
from typing import Any

import pytest

from runtime.resolver import Resolver

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]


async def test_names_whose_servers_do_not_answer_delay_no_other() -> None:
    over = Event()

    def lookup(host: str, _port: int, **_more: Any) -> list[Any]:
        if host.startswith("dead"):
            over.wait(20)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return FOUND

    resolver = Resolver(lookup)
    dead = [asyncio.create_task(resolver.resolve(f"dead{number}.example", 80)) for number in range(20)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        [found] = await resolver.resolve("good.example", 80)
    assert (found["hostname"], found["host"], found["port"]) == ("good.example", "192.0.2.1", 80)
    given_up, *others = dead
    given_up.cancel()
    over.set()
    assert all(isinstance(each, socket.gaierror) for each in await asyncio.gather(*others, return_exceptions=True))
    assert given_up.cancelled()


async def test_an_address_is_its_own_answer() -> None:
    [found] = await Resolver().resolve("127.0.0.1", 80)
    assert (found["host"], found["port"], found["family"]) == ("127.0.0.1", 80, socket.AF_INET)


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example"])
async def test_what_is_no_name_is_a_failure_of_the_name(host: str) -> None:
    with pytest.raises(socket.gaierror, match="no host name"):
        await Resolver().resolve(host, 80)


def test_a_name_that_is_still_asked_for_keeps_no_process_from_ending() -> None:
    asked, over = Event(), Event()

    def lookup(_host: str, _port: int, **_more: Any) -> list[Any]:
        asked.set()
        over.wait(20)
        return FOUND

    async def ask() -> None:
        resolving = asyncio.create_task(Resolver(lookup).resolve("dead.example", 80))
        await asyncio.to_thread(asked.wait, 5)
        resolving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await resolving

    asyncio.run(ask())
    over.set()
    assert asked.is_set()
