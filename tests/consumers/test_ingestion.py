from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, closing, suppress
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from consumers.api.answers import Answer, NoAnswer
from consumers.api.ingestion import MAX_ANSWER_BYTES, PATH, Ingestion
from runtime.settings import IngestionSettings
from tests.consumers.sink import RESET, Say, Sink, sinking, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = "tolk_sec_0123456789"


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with sinking() as sink:
        yield sink


def api(url: str, total: float = 5.0, connect: float = 5.0) -> Ingestion:
    settings = IngestionSettings(url=url, api_key=SecretStr(KEY))
    return Ingestion(settings, total_seconds=total, connect_seconds=connect)


@pytest.mark.parametrize(("suffix", "prefix"), [("", ""), ("/", ""), ("/shop", "/shop"), ("/shop/", "/shop")])
async def test_a_batch_is_posted_as_the_seed_says(sink: Sink, suffix: str, prefix: str) -> None:
    async with api(sink.url + suffix) as ingestion:
        answer = await ingestion.post(b'{"events":[{"a": 1.10}]}')
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (200, b'{"ok":true}')
    [got] = sink.got
    assert got.path == prefix + PATH
    assert got.body == b'{"events":[{"a": 1.10}]}'
    assert got.headers["X-API-Key"] == KEY
    assert got.headers["Accept-Encoding"] == "identity"
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["User-Agent"].startswith("sluice/")


async def test_redirects_are_answers_and_not_followed(sink: Sink) -> None:
    sink.say(Say(307, b"", {"Location": "/elsewhere"}))
    async with api(sink.url) as ingestion:
        answer = await ingestion.post(b"{}")
    assert isinstance(answer, Answer)
    assert answer.status == 307
    assert len(sink.got) == 1


async def test_cookies_are_not_kept(sink: Sink) -> None:
    sink.say(Say(200, {"ok": True}, {"Set-Cookie": "a=1"}))
    async with api(sink.url) as ingestion:
        answers = [await ingestion.post(b"{}") for _ in range(2)]
    assert all(isinstance(answer, Answer) for answer in answers)
    assert "Cookie" not in sink.got[1].headers


async def test_an_endless_answer_is_cut_off(sink: Sink) -> None:
    sink.say(Say(200, b" " * (MAX_ANSWER_BYTES * 8)))
    async with api(sink.url) as ingestion:
        answer = await ingestion.post(b"{}")
        again = await ingestion.post(b"{}")
    assert isinstance(answer, Answer)
    assert len(answer.body) == MAX_ANSWER_BYTES
    assert isinstance(again, Answer)
    assert again.body == b'{"ok":true}'


async def test_a_body_above_a_mebibyte_arrives_whole(sink: Sink) -> None:
    body = b"[" + b"1," * 600_000 + b"1]"
    async with api(sink.url) as ingestion:
        answer = await ingestion.post(body)
    assert isinstance(answer, Answer)
    assert sink.got[0].body == body


async def test_a_reset_after_the_request_leaves_it_in_doubt(sink: Sink) -> None:
    sink.say(RESET)
    async with api(sink.url) as ingestion:
        answer = await ingestion.post(b"{}")
    assert isinstance(answer, NoAnswer)
    assert (answer.timed_out, answer.sent) == (False, True)
    assert len(sink.got) == 1, "nothing but us sends it again"


async def test_an_answer_that_does_not_come_leaves_it_in_doubt(sink: Sink) -> None:
    never = asyncio.Event()
    sink.say(Say(after=never))
    async with api(sink.url, total=0.1) as ingestion:
        answer = await ingestion.post(b"{}")
    never.set()
    assert isinstance(answer, NoAnswer)
    assert answer == NoAnswer(timed_out=True, sent=True, words="no answer within 0.1 s")


async def test_nobody_there_means_nothing_was_sent() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with api(f"http://127.0.0.1:{taken.getsockname()[1]}") as ingestion:
            answer = await ingestion.post(b"{}")
    assert isinstance(answer, NoAnswer)
    assert (answer.timed_out, answer.sent) == (False, False)


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example"])
async def test_a_host_that_there_is_not_means_nothing_was_sent(host: str) -> None:
    async with api(f"http://{host}") as ingestion:
        answers = [await ingestion.post(b"{}"), await ingestion.delete("a")]
    assert [(each.timed_out, each.sent) for each in answers if isinstance(each, NoAnswer)] == [(False, False)] * 2


async def test_a_connection_that_is_never_taken_means_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        held = [socket.socket() for _ in range(8)]
        for each in held:
            each.settimeout(0)
            each.connect_ex(("127.0.0.1", port))
        async with api(f"http://127.0.0.1:{port}", connect=0.2) as ingestion:
            answer = await ingestion.post(b"{}")
        for each in held:
            each.close()
    assert isinstance(answer, NoAnswer)
    assert answer == NoAnswer(timed_out=True, sent=False, words="no connection within 0.2 s")


async def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_ones() -> None:
    good = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"ok":true}'
    more = asyncio.Event()
    taken = ended = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken, ended
        # They are raised when the other side goes.
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n") and await reader.readexactly(2):
                taken += 1
                writer.write(good)
                await more.wait()
                writer.write(good)
        ended += 1

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        async with api(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as ingestion:
            assert isinstance(await ingestion.post(b"{}"), Answer)
            more.set()
            await asyncio.sleep(0.05)  # some turns of the loop: it comes from this very process
            unsent = await ingestion.post(b"{}")
            assert isinstance(unsent, NoAnswer)
            assert not unsent.sent, "on that connection nothing was"
            assert taken == 1
            assert isinstance(await ingestion.post(b"{}"), Answer), "on another connection"
        await until(lambda: ended == 2)


async def test_what_does_not_speak_http_is_no_answer() -> None:
    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server, api(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as ingestion:
        answer = await ingestion.post(b"{}")
    assert isinstance(answer, NoAnswer)
    assert answer.words.startswith("what came is not HTTP: ")


OK_BODY = b'{"ok":true}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + OK_BODY


class Wire:
    """A server that gives a post of `{}` each of some raw answers in turn, and counts the connections it was given."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
                answer = self.answers.pop(0)
                writer.write(answer)
                if b"close" in answer:
                    break
        writer.close()

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Ingestion]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        async with server, api(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as ingestion:
            yield ingestion


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (WHOLE, 1),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"ok\r\n7\r\n":true}\r\n0\r\n\r\n', 1),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE, 1),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + WHOLE, 1),
        (b"HTTP/1.1 104 Upload Resumption Supported\r\n\r\n" + WHOLE, 1),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\n" + OK_BODY, 3),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + OK_BODY, 3),
        (b"HTTP/1.0 200 OK\r\nX: close\r\n\r\n" + OK_BODY, 3),
    ],
    ids=["length", "chunked", "100", "103", "104", "close", "close, no length", "1.0"],
)
async def test_connections_are_kept_as_long_as_the_answers_allow(answer: bytes, connections: int) -> None:
    wire = Wire(*[answer] * 3)
    async with wire.api() as ingestion:
        answers = [await ingestion.post(b"{}") for _ in range(3)]
    assert [(each.status, each.body) for each in answers if isinstance(each, Answer)] == [(200, OK_BODY)] * 3
    assert wire.connections == connections


async def test_half_an_answer_is_none() -> None:
    wire = Wire(b"HTTP/1.1 200 OK\r\nX: close\r\nContent-Length: 12\r\n\r\n" + OK_BODY, WHOLE)
    async with wire.api() as ingestion:
        answer = await ingestion.post(b"{}")
        assert isinstance(answer, NoAnswer)
        assert (answer.timed_out, answer.sent) == (False, True)
        assert isinstance(await ingestion.post(b"{}"), Answer)
    assert wire.connections == 2


async def test_an_answer_that_comes_too_early_is_taken_and_the_connection_is_not() -> None:
    """The rest of the request would be read as the next one."""
    connections = 0

    async def hasty(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await over.wait()
        writer.close()

    over = asyncio.Event()
    server = await asyncio.start_server(hasty, "127.0.0.1", 0, limit=1024)
    async with server, api(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as ingestion:
        answers = [await ingestion.post(b"x" * 20_000_000) for _ in range(2)]
        over.set()
    assert [each.status for each in answers if isinstance(each, Answer)] == [413, 413]
    assert connections == 2


async def test_what_an_api_does_not_read_in_time_is_let_go_of() -> None:
    """Kept until it is read, a connection and a body at each try would be left over."""
    body = b"x" * 20_000_000
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        async with api(f"http://127.0.0.1:{server.getsockname()[1]}", total=0.1) as ingestion:
            answer = await ingestion.post(body)
            assert isinstance(answer, NoAnswer)
            taken, _ = await loop.sock_accept(server)
            with taken, suppress(ConnectionError):
                arrived = 0
                while more := await loop.sock_recv(taken, 1_000_000):
                    arrived += len(more)
    assert arrived < len(body)


async def test_a_request_that_is_given_up_takes_its_connection_with_it() -> None:
    wire = Wire(b"", WHOLE)
    async with wire.api() as ingestion:
        posting = asyncio.create_task(ingestion.post(b"{}"))
        await until(lambda: not wire.answers[1:])
        posting.cancel()
        await asyncio.wait([posting])
        assert isinstance(await ingestion.post(b"{}"), Answer)
    assert wire.connections == 2


def test_a_key_with_a_lines_end_is_refused_at_once() -> None:
    settings = IngestionSettings(url="http://127.0.0.1:1", api_key=SecretStr("a\r\nX: b"))
    with pytest.raises(ValueError, match="api_key"):
        Ingestion(settings)
