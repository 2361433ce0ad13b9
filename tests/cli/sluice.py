"""The real `sluice` command as a subprocess, in a folder of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from tests.kafka.ports import free_ports

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator
    from pathlib import Path

TIMEOUT = 60.0

CONFIGURATION = """
[broker]
path = "{folder}/data"
partitions = 3
{broker}
[gateway]
port = {gateway}
spool_path = "{folder}/spool"
[admin]
port = {admin}
[sandbox]
port = {sandbox}
fault_port = {fault}
path = "{folder}/data/sandbox"
[[storefronts]]
name = "shop"
publishable_keys = ["tolk_pub_shop"]
secret_keys = ["tolk_sec_shop"]
[storefronts.ingestion]
url = "http://127.0.0.1:{sandbox}"
api_key = "tolk_sec_shop"
"""


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def objects(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class Installation:
    """A configuration with free ports, and its data."""

    folder: Path
    ports: dict[str, int]

    @property
    def config(self) -> Path:
        return self.folder / "sluice.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, server: str) -> str:
        return f"http://127.0.0.1:{self.ports[server]}"

    def rewrite(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    @asynccontextmanager
    async def started(self, *arguments: str, stdin: int | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
        """Start a command; whatever is still there at the end is killed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "cli.main",
            *arguments,
            cwd=self.folder,
            env={**os.environ, "TERM": "dumb", "COLUMNS": "120"},
            stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=4 * 1024 * 1024,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def run(self, *arguments: str, stdin: bytes | None = None) -> Done:
        """Run a command to its end."""
        pipe = None if stdin is None else asyncio.subprocess.PIPE
        async with self.started(*arguments, stdin=pipe) as process:
            out, err = await asyncio.wait_for(process.communicate(stdin), TIMEOUT)
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())


def install(folder: Path, *, broker: str = "") -> Installation:
    """Write a configuration into `folder`; `broker` is added to its broker's table."""
    ports = dict(zip(("gateway", "admin", "sandbox", "fault"), free_ports(4), strict=True))
    (folder / "sluice.toml").write_text(CONFIGURATION.format(folder=folder, broker=broker, **ports))
    return Installation(folder, ports)


async def finish(process: asyncio.subprocess.Process, number: signal.Signals | None = None) -> Done:
    """Send a signal, if one is given, and wait for the end."""
    if number is not None:
        process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), TIMEOUT)
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())
