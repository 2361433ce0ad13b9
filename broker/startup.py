"""How a role comes to its broker: it waits for one that is away, and makes sure of its topics."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from broker.interface import Unavailable
from runtime.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Broker, TopicDifference
    from runtime.process import Process
    from schemas.topics import TopicSpec

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
MISSING = "missing"


class MissingTopics(OperatorError):
    """Topics are not there and `broker.create_topics` is false."""


async def ready_broker(broker: Broker, specs: Sequence[TopicSpec], process: Process, *, create: bool) -> bool:
    """Start the broker and make sure of its topics, however long the broker is away; then return True, or False when the process was
    asked to stop meanwhile.

    While it waits, readiness says why, and each new reason is one line of the log. Differences of topics that exist are logged and left as
    they are: the topic's own settings hold. Raises MissingTopics.
    """
    reason: str | None = "not connected yet"
    process.health.add("broker", lambda: reason)
    wait = FIRST_WAIT_SECONDS
    while not process.stopping.is_set():
        try:
            await broker.start()
            await ensured(broker, specs, process.log, create=create)
        except Unavailable as error:
            if str(error) != reason:
                process.log.warning("broker unavailable", reason=str(error))
            reason = str(error)
            await _sleep(process, random.uniform(wait / 2, wait))  # noqa: S311 - spreads the roles, guards nothing
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            continue
        reason = None
        return True
    return False


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


async def _sleep(process: Process, seconds: float) -> None:
    """Sleep on the process's clock, but wake when it is asked to stop."""
    tasks = (
        asyncio.ensure_future(process.clock.sleep(seconds)),
        asyncio.ensure_future(process.stopping.wait()),
    )
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
