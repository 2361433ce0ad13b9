"""The sandbox as a process: killed, stopped, started twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import aiohttp
import pytest

from runtime.clock import SystemClock
from runtime.errors import OperatorError
from sandbox.database import DatabaseUnavailable
from sandbox.service import serving
from tests.kafka.ports import free_ports
from tests.sandbox.running import VIEW, Running, process, purchase, running, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ROUNDS = 5
SENDERS = 8


class Role:
    """One run of the process."""

    def __init__(self, child: asyncio.subprocess.Process, sandbox: Running, admin_url: str) -> None:
        self.child = child
        self.sandbox = sandbox
        self.admin_url = admin_url

    async def ready(self) -> None:
        async with asyncio.timeout(30):
            while True:
                assert self.child.returncode is None, await self.child.communicate()
                with suppress(aiohttp.ClientError):
                    if (await self.sandbox.request("GET", f"{self.admin_url}/readyz")).status == 200:
                        return
                await asyncio.sleep(0.02)

    async def end(self, by: signal.Signals) -> tuple[int, str]:
        """Return the exit code and all that the process wrote."""
        self.child.send_signal(by)
        out, _ = await asyncio.wait_for(self.child.communicate(), 30)
        assert self.child.returncode is not None
        return self.child.returncode, out.decode()


@asynccontextmanager
async def role(path: Path) -> AsyncIterator[Role]:
    port, fault_port, admin_port = free_ports(3)
    arguments = ["-m", "tests.sandbox.role", *map(str, (port, fault_port, admin_port)), str(path)]
    child = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with aiohttp.ClientSession() as session:
            sandbox = Running(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{fault_port}", session)
            yield Role(child, sandbox, f"http://127.0.0.1:{admin_port}")
    finally:
        if child.returncode is None:
            child.kill()
            await child.communicate()


async def test_what_was_answered_survives_sigkill(tmp_path: Path) -> None:
    chance = random.Random(3)  # noqa: S311 - when to kill, no secret
    promised: set[str] = set()
    sent = 0

    async def send(sandbox: Running) -> None:
        nonlocal sent
        while True:
            numbers = [str(number) for number in range(sent, sent + 50)]
            sent += 50
            events = [purchase(number, properties={"seq": number}) for number in numbers]
            try:
                answer = await sandbox.batch(*events)
            except aiohttp.ClientError:
                return
            assert answer.body == {"ok": True, "accepted": 50}
            promised.update(numbers)

    for _ in range(ROUNDS):
        async with role(tmp_path) as run:
            await run.ready()
            before = len(promised)
            senders = [asyncio.ensure_future(send(run.sandbox)) for _ in range(SENDERS)]
            enough = before + chance.randrange(500, 4000)
            async with asyncio.timeout(30):
                while len(promised) < enough:  # noqa: ASYNC110 - simpler than an event in each sender
                    await asyncio.sleep(0.001)
            await run.end(signal.SIGKILL)
            await asyncio.gather(*senders)

    async with running(tmp_path) as sandbox:
        lines = await sandbox.arrivals("fields=arrival,transaction_id,ignored&property=properties.seq")
    assert [line["arrival"] for line in lines] == list(range(1, len(lines) + 1))
    assert promised <= {line["properties.seq"] for line in lines}
    assert all(line["ignored"] is None for line in lines)


async def test_the_other_process_is_named(tmp_path: Path) -> None:
    async with role(tmp_path) as first:
        await first.ready()
        with pytest.raises(DatabaseUnavailable, match=f"in use by process {first.child.pid}"):
            async with running(tmp_path):
                raise AssertionError("it must not start")
        async with role(tmp_path) as second:
            out, _ = await asyncio.wait_for(second.child.communicate(), 30)
            assert second.child.returncode == 1
            assert b"is in use by process" in out
            assert b"Traceback" not in out


async def test_sigterm_answers_what_is_under_way_and_exits_0(tmp_path: Path) -> None:
    async with role(tmp_path) as run:
        await run.ready()
        await run.sandbox.fault({"effect": "latency", "milliseconds": 700})
        asked = asyncio.ensure_future(run.sandbox.batch(VIEW))
        async with asyncio.timeout(10):
            while not await run.sandbox.arrivals("fields=arrival"):  # noqa: ASYNC110 - another process cannot set our event
                await asyncio.sleep(0.01)
        code, out = await run.end(signal.SIGTERM)
        assert (await asked).body == {"ok": True, "accepted": 1}
        assert code == 0
        assert "leaked" not in out
    assert os.listdir(tmp_path) == ["sandbox.duckdb"]  # noqa: PTH208 - one name, and no blocking iterator


async def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as sandbox:
        port = int(sandbox.url.rsplit(":", 1)[1])
        with pytest.raises(OperatorError, match=f"the sandbox cannot listen on 127.0.0.1:{port}"):
            async with running_at(tmp_path / "two", port):
                raise AssertionError("it must not start")


@asynccontextmanager
async def running_at(path: Path, port: int) -> AsyncIterator[None]:
    async with serving(settings(path, port), process(SystemClock())):
        yield


async def test_a_path_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable, match=r"sandbox\.path: .*file"):
        async with running(tmp_path / "file"):
            raise AssertionError("it must not start")


async def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sandbox.duckdb").write_text("hello" * 1000)
    with pytest.raises(DatabaseUnavailable, match="cannot be opened"):
        async with running(tmp_path):
            raise AssertionError("it must not start")
    assert (tmp_path / "sandbox.duckdb").read_text().startswith("hello")
