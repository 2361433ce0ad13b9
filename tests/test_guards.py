"""The guards of conftest.py do guard."""

from __future__ import annotations

import asyncio
import os
import socket
import warnings
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    "KAFKA_BOOTSTRAP_SERVERS" in os.environ, reason="with a Kafka that was given, the network is open"
)


@pytest.mark.parametrize("address", ["192.0.2.1", "203.0.113.9"])
def test_no_connection_leaves_this_machine(address: str) -> None:
    with socket.socket() as outward, pytest.raises(PermissionError, match="went to the network"):
        outward.connect((address, 9))


async def test_no_name_is_looked_up_elsewhere() -> None:
    with pytest.raises(PermissionError, match="went to the network"):
        await asyncio.open_connection("sluice.example", 80)


async def test_loopback_is_open() -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "localhost", 0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        assert await reader.read() == b"here"
        writer.close()
        await writer.wait_closed()


def test_a_warning_is_an_error() -> None:
    with pytest.raises(ResourceWarning):
        warnings.warn("unclosed", ResourceWarning, stacklevel=1)


INI = """
[pytest]
testpaths = tests
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""

PLANTED = """
import asyncio
import pathlib
import socket

async def test_blocks():
    from runtime import config
    config.load(pathlib.Path("sluice.toml"), {})

async def test_leaves_an_exception_unheard():
    asyncio.get_running_loop().create_future().set_exception(ValueError("nobody asked"))

def test_leaves_a_socket_open():
    socket.socket()

async def test_is_fine():
    await asyncio.sleep(0)
"""


def test_what_a_test_may_not_do_fails_it(pytester: pytest.Pytester) -> None:
    rooms = pytester.mkdir("tests").joinpath("runtime")
    rooms.mkdir()
    source = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8").replace(', "tests.kafka.fixtures"', "")
    rooms.with_name("conftest.py").write_text(source, encoding="utf-8")
    rooms.joinpath("test_planted.py").write_text(PLANTED, encoding="utf-8")
    pytester.makefile(".toml", sluice="")
    pytester.makeini(INI)

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(passed=2, failed=2, errors=1)
    result.stdout.fnmatch_lines_random(["*BlockingError: Blocking call to*", "*nobody asked*", "*in: <socket.socket*"])
