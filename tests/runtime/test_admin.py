from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest
import structlog
from structlog.testing import CapturingLogger

from runtime.admin import AdminServer
from runtime.errors import ListenError
from runtime.health import Health
from runtime.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from structlog.typing import FilteringBoundLogger


@pytest.fixture
def written() -> CapturingLogger:
    return CapturingLogger()


@pytest.fixture
def log(written: CapturingLogger) -> FilteringBoundLogger:
    wrapper = structlog.make_filtering_bound_logger("info")
    logger: FilteringBoundLogger = structlog.wrap_logger(
        written, processors=[lambda _l, _m, fields: ((), fields)], wrapper_class=wrapper
    )
    return logger


@pytest.fixture
def health() -> Health:
    health = Health()
    health.started()
    return health


@pytest.fixture
async def admin(health: Health, log: FilteringBoundLogger) -> AsyncIterator[AdminServer]:
    async with AdminServer("127.0.0.1", 0, registry=Metrics().registry, health=health, log=log) as server:
        yield server


@pytest.fixture
async def client(admin: AdminServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{admin.port}") as session:
        yield session


async def test_a_free_port_is_picked_and_told(admin: AdminServer, written: CapturingLogger) -> None:
    assert admin.port > 0
    assert [call.kwargs for call in written.calls] == [
        {"event": "admin listening", "host": "127.0.0.1", "port": admin.port}
    ]


async def test_it_lives_while_it_answers(client: aiohttp.ClientSession) -> None:
    async with client.get("/livez") as answer:
        assert (answer.status, await answer.text()) == (200, "ok")


async def test_ready(client: aiohttp.ClientSession) -> None:
    async with client.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"ready": True})


async def test_not_ready_and_why(client: aiohttp.ClientSession, health: Health) -> None:
    health.add("broker", lambda: "no broker at localhost:9092")
    health.draining()
    async with client.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (
            503,
            {
                "ready": False,
                "reasons": {"process": "draining: no new work is taken", "broker": "no broker at localhost:9092"},
            },
        )


@pytest.mark.parametrize(
    ("accept", "content_type", "end"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", ""),
        ("text/plain;version=abc", "text/plain; version=0.0.4; charset=utf-8", ""),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text; version=1.0.0", "# EOF\n"),
    ],
)
async def test_metrics_in_the_form_that_is_asked_for(
    client: aiohttp.ClientSession, accept: str, content_type: str, end: str
) -> None:
    async with client.get("/metrics", headers={"Accept": accept}) as answer:
        text = await answer.text()

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(content_type)
    assert 'sluice_build_info{version="0.1.0"} 1.0' in text
    assert text.endswith(end)


async def test_many_scrapes_at_once_are_all_answered(client: aiohttp.ClientSession) -> None:
    async def scrape() -> int:
        async with client.get("/metrics") as answer:
            return len(await answer.text())

    assert min(await asyncio.gather(*(scrape() for _ in range(8)))) > 1000


async def test_a_role_has_pages_of_its_own(health: Health, log: FilteringBoundLogger) -> None:
    pages = {"/openapi.json": lambda: b"{}"}
    server = AdminServer("127.0.0.1", 0, registry=Metrics().registry, health=health, log=log, pages=pages)
    async with server, aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        async with session.get("/openapi.json") as answer:
            assert (answer.status, answer.content_type, await answer.read()) == (200, "application/json", b"{}")
        async with session.get("/livez") as answer:
            assert answer.status == 200


async def test_what_there_is_not(client: aiohttp.ClientSession) -> None:
    async with client.get("/") as missing, client.post("/livez") as refused:
        assert (missing.status, refused.status) == (404, 405)


async def test_an_address_in_use_is_one_clear_line(health: Health, log: FilteringBoundLogger) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = AdminServer("127.0.0.1", port, registry=Metrics().registry, health=health, log=log)
        with pytest.raises(ListenError) as caught:
            await server.start()

    assert str(caught.value) == f"the admin server cannot listen on 127.0.0.1:{port}: Address already in use"


async def test_closing_twice_is_no_fault(health: Health, log: FilteringBoundLogger) -> None:
    server = AdminServer("127.0.0.1", 0, registry=Metrics().registry, health=health, log=log)
    await server.start()
    await server.close()
    await server.close()

    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0
