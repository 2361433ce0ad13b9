"""What the answers look like on the wire: to those who keep their connection, to those who do not, to an older HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.gateway.conftest import BATCH, PUBLISHABLE

if TYPE_CHECKING:
    from tests.gateway.conftest import Gateway

BODY = b'{"events":[{"event_type":"view_cart"}]}'
OK = b'{"ok":true,"accepted":1}'


def request(version: str, *headers: str) -> bytes:
    lines = [
        f"POST {BATCH} HTTP/{version}",
        "Host: localhost",
        f"X-API-Key: {PUBLISHABLE}",
        "Content-Type: application/json",
        f"Content-Length: {len(BODY)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + BODY


async def connect(gateway: Gateway) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = gateway.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def test_a_kept_connection_gets_one_whole_answer_after_the_other(gateway: Gateway) -> None:
    reader, writer = await connect(gateway)
    for _ in range(3):
        writer.write(request("1.1"))
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        names = {line.partition(":")[0].lower() for line in head[1:-2]}
        assert head[0] == "HTTP/1.1 200 OK"
        assert {"content-type", "content-length", "x-request-id", "date"} <= names
        assert await reader.readexactly(len(OK)) == OK
    writer.close()
    await writer.wait_closed()


async def test_requests_sent_at_once_are_answered_in_turn(gateway: Gateway) -> None:
    reader, writer = await connect(gateway)
    writer.write(request("1.1") * 5 + request("1.1", "Connection: close"))
    async with asyncio.timeout(10):
        answers = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answers.count(b"HTTP/1.1 200 OK") == answers.count(OK) == 6
    assert len(gateway.publisher.published) == 6


@pytest.mark.parametrize("sent", [request("1.1", "Connection: close"), request("1.0")], ids=["close", "HTTP/1.0"])
async def test_who_does_not_keep_the_connection_sees_it_closed(gateway: Gateway, sent: bytes) -> None:
    reader, writer = await connect(gateway)
    writer.write(sent)
    async with asyncio.timeout(10):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert head.split(b" ")[1] == b"200"
    assert body == OK
    assert b"HTTP/1.0" in sent or b"Connection: close" in head
