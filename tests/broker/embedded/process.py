"""Another process on the data directory, which a test may stop and kill."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from tests.broker.waiting import DEADLINE

if TYPE_CHECKING:
    import signal
    from types import TracebackType
    from typing import Self


class OtherProcess:
    """`python -m module arguments…`; what it prints is read line by line. Killed at the end."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._command = [sys.executable, "-m", module, *map(str, arguments)]
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "not started"
        return self._process

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(*self._command, stdout=asyncio.subprocess.PIPE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.kill()

    async def line(self) -> str:
        """Wait for the next line."""
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            return (await self.process.stdout.readline()).decode().strip()

    async def until(self, text: str) -> None:
        """Wait for a line that is `text`."""
        while (line := await self.line()) != text:
            assert line or self.process.returncode is None, f"ended before it said {text}"

    async def rest(self) -> list[str]:
        """Return the lines that are left once it has ended."""
        assert self.process.stdout is not None
        return (await self.process.stdout.read()).decode().splitlines()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def kill(self) -> None:
        """SIGKILL, also when it is stopped. Harmless when it is dead."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
