"""All roles of `sluice up`: started together, watched, drained one after the other."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Self

import aiohttp
import orjson

from runtime.addresses import url_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
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
        self.children = list(children)
        self._work: dict[Child, tuple[asyncio.Task[None], asyncio.Task[None]]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._failed = asyncio.Event()
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        """Start every role; does not wait until they are ready."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS))
        for child in self.children:
            self._begin(child, self._session, self._fail)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drain."""
        for child in list(self.children):
            await child.drain()
        await self._end(*self._work)
        assert self._session is not None  # noqa: S101  # it was entered
        await self._session.close()

    def take_on(self, child: Child, place: int, given_up: Callable[[BaseException], None]) -> None:
        """Start another role, which drains as the one at `place`. Does not wait. One that ends before it ever was ready is dismissed:
        `given_up` is told why.
        """
        assert self._session is not None  # noqa: S101  # it was entered
        self.children.insert(place, child)
        self._begin(child, self._session, partial(self._give_up, child, given_up))

    async def dismiss(self, child: Child) -> None:
        """Drain one role, and look after it no longer."""
        await child.drain()
        self.children.remove(child)
        await self._end(child)

    def _begin(self, child: Child, session: aiohttp.ClientSession, failed: Callable[[BaseException], None]) -> None:
        running = asyncio.create_task(child.run(), name=child.role)
        running.add_done_callback(partial(_tell_failure, failed))
        self._work[child] = running, asyncio.create_task(self._look(session, child))

    async def _end(self, *children: Child) -> None:
        ending = [self._work.pop(child) for child in children]
        for _, looking in ending:
            looking.cancel()
        await asyncio.gather(*(task for each in ending for task in each), return_exceptions=True)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._failed.set()

    def _give_up(self, child: Child, told: Callable[[BaseException], None], error: BaseException) -> None:
        if child in self.children:
            self.children.remove(child)
            self._work[child][1].cancel()
            told(error)

    def not_ready(self) -> dict[str, str]:
        """Return every reason why a role is not ready, by `<role>.<check>`; empty when all are."""
        return {f"{child.role}.{name}": reason for child in self.children for name, reason in child.reasons.items()}

    async def ready(self) -> None:
        """Wait until every role is ready at the same time."""
        while self.not_ready():  # noqa: ASYNC110  # what is waited for happens in other processes
            await asyncio.sleep(LOOK_SECONDS / 4)

    async def failed(self) -> None:
        """Wait until a role that was there from the beginning cannot be kept running, and raise why: RoleFailedError when it ended before
        it ever was ready.
        """
        await self._failed.wait()
        if self._failure is not None:
            raise self._failure

    def hang_up(self, without: Collection[Child] = ()) -> None:
        """Let every role but these read its configuration anew. Does not wait."""
        for child in self.children:
            if child not in without:
                child.hang_up()

    def kill(self) -> None:
        """End every role at once. For signal handlers: it never waits."""
        for child in self.children:
            child.kill()

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


def _tell_failure(failed: Callable[[BaseException], None], running: asyncio.Task[None]) -> None:
    if not running.cancelled() and (error := running.exception()) is not None:
        failed(error)


async def _reasons(session: aiohttp.ClientSession, port: int) -> dict[str, str]:
    """Ask a role for its readiness. Raises what says that it does not answer."""
    async with session.get(url_of("127.0.0.1", port) + "/readyz") as response:
        answer = orjson.loads(await response.read())
    return {} if answer.get("ready") is True else dict(answer.get("reasons", {}))
