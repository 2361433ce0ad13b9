"""All roles of `sluice up`: started together, watched, drained one after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import aiohttp
import orjson

from runtime.addresses import url_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from cli.child import Child

LOOK_SECONDS = 0.2
READY_LOOK_SECONDS = 1.0
"""How often a role that is ready is asked whether it still is."""
ANSWER_SECONDS = 2.0


class Supervisor:
    """Runs `children` while entered; leaving drains them in the order in which they are given.

    An event on its way is thus never cut off from the role that takes it next.
    """

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = children
        self._running: list[asyncio.Task[None]] = []
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start every role; does not wait until they are ready."""
        self._running = [asyncio.create_task(child.run(), name=child.role) for child in self.children]
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drain."""
        for child in self.children:
            await child.drain()
        assert self._watching is not None  # noqa: S101  # it was entered
        self._watching.cancel()
        await asyncio.gather(*self._running, self._watching, return_exceptions=True)

    def not_ready(self) -> dict[str, str]:
        """Return every reason why a role is not ready, by `<role>.<check>`; empty when all are."""
        return {f"{child.role}.{name}": reason for child in self.children for name, reason in child.reasons.items()}

    async def ready(self) -> None:
        """Wait until every role is ready at the same time."""
        while self.not_ready():  # noqa: ASYNC110  # what is waited for happens in other processes
            await asyncio.sleep(LOOK_SECONDS / 4)

    async def failed(self) -> None:
        """Wait until a role cannot be kept running, and raise why: RoleFailedError when it ended before it ever was ready."""
        done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    def hang_up(self) -> None:
        """Let every role read its configuration anew. Does not wait."""
        for child in self.children:
            child.hang_up()

    def kill(self) -> None:
        """End every role at once. For signal handlers: it never waits."""
        for child in self.children:
            child.kill()

    async def _watch(self) -> None:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await asyncio.gather(*(self._look(session, child) for child in self.children))

    async def _look(self, session: aiohttp.ClientSession, child: Child) -> None:
        while True:
            port = child.admin_port
            if port is not None:
                try:
                    reasons = await _reasons(session, port)
                except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
                    child.reasons = {"process": f"does not answer: {str(error) or type(error).__name__}"}
                else:
                    if port == child.admin_port:  # else it was the last word of one that has ended
                        child.heard(reasons)
            child.follow()
            await asyncio.sleep(LOOK_SECONDS if child.reasons else READY_LOOK_SECONDS)


async def _reasons(session: aiohttp.ClientSession, port: int) -> dict[str, str]:
    """Ask a role for its readiness. Raises what says that it does not answer."""
    async with session.get(url_of("127.0.0.1", port) + "/readyz") as response:
        answer = orjson.loads(await response.read())
    return {} if answer.get("ready") is True else dict(answer.get("reasons", {}))
