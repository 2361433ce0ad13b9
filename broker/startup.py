"""How a role comes to its broker: it waits for one that is away, and makes sure of its topics."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, TypeVar

from broker.interface import Unavailable
from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Broker, TopicDifference
    from runtime.process import Process
    from schemas.topics import TopicSpec

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
MISSING = "missing"


T = TypeVar("T")


class MissingTopics(OperatorError):
    """Topics are not there and `broker.create_topics` is false."""


class Availability:
    """Waits for a broker, and says why it has to. Life: construct → `until` …; `why` is None from when a wait ended until the next."""

    def __init__(self, process: Process) -> None:
        self.why: str | None = "not connected yet"
        self._process = process

    async def until(self, attempt: Callable[[], Awaitable[T]]) -> T | None:
        """Return what `attempt` does, made again and again for as long as it raises Unavailable; None when the process was asked to stop
        meanwhile: an attempt that is under way is then given up. Each new reason is one line of the log. Raises what else it raises.
        """
        process, wait = self._process, FIRST_WAIT_SECONDS
        while not process.stopping.is_set():
            try:
                done = await _unless_stopped(process, attempt())
            except Unavailable as error:
                if str(error) != self.why:
                    process.log.warning("broker unavailable", reason=str(error))
                self.why = str(error)
                spread = random.uniform(wait / 2, wait)  # noqa: S311 - spreads the roles, guards nothing
                await _unless_stopped(process, process.clock.sleep(spread))
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            else:
                if process.stopping.is_set():
                    return done
                if wait > FIRST_WAIT_SECONDS:
                    process.log.info("broker available")
                self.why = None
                return done
        return None


async def ready_broker(broker: Broker, specs: Sequence[TopicSpec], process: Process, *, create: bool) -> bool:
    """Start the broker and make sure of its topics, however long the broker is away; then return True, or False when the process was
    asked to stop meanwhile.

    While it waits, readiness says why, and each new reason is one line of the log. Differences of topics that exist are logged and left as
    they are: the topic's own settings hold. Raises MissingTopics.
    """
    availability = Availability(process)
    process.health.add("broker", lambda: availability.why)

    async def attempt() -> bool:
        await broker.start()
        await ensured(broker, specs, process.log, create=create)
        return True

    return bool(await availability.until(attempt))


async def ensured(broker: Broker, specs: Sequence[TopicSpec], log: FilteringBoundLogger, *, create: bool) -> None:
    """Make sure of the topics; the broker has started. Differences of those that exist are logged. Raises Unavailable, MissingTopics."""
    differences = await broker.ensure_topics(specs, create=create)
    require(differences)
    for each in differences:
        log.warning("topic differs", topic=each.topic, setting=each.setting, wanted=each.wanted, found=each.found)


def require(differences: Iterable[TopicDifference]) -> None:
    """Take note that no topic is missing, however those that exist differ. Raises MissingTopics."""
    missing = [each.topic for each in differences if each.found == MISSING]
    if missing:
        raise MissingTopics(
            f"topics are missing: {', '.join(missing)}; run `sluice topics ensure`, or set broker.create_topics = true"
        )


async def _unless_stopped(process: Process, attempt: Awaitable[T]) -> T | None:
    """Return what `attempt` does; None when the process is asked to stop before: it is then cancelled, and waited for."""
    tried = asyncio.ensure_future(attempt)
    asked = asyncio.ensure_future(process.stopping.wait())
    try:
        await asyncio.wait((tried, asked), return_when=asyncio.FIRST_COMPLETED)
        return tried.result() if tried.done() else None
    finally:
        asked.cancel()
        if not tried.done():
            tried.cancel()
            await asyncio.wait((tried,))
