"""What a spool holds, for who only looks."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from broker.embedded.broker import EmbeddedBroker
from broker.embedded.directory import DataDirectory, LogFile
from broker.spool.lanes import GROUP, place_of
from runtime.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import FilteringBoundLogger

    from runtime.clock import Clock


async def left(path: str, log: FilteringBoundLogger, clock: Clock) -> Mapping[str, int]:
    """Return how many records of each topic the spool at `path` holds that Kafka has not acknowledged; nothing where there is no spool.

    Raises Unavailable when it cannot be read.
    """
    if not await asyncio.to_thread(DataDirectory(Path(path)).database(LogFile.EVENTS).exists):
        return {}
    found: Counter[str] = Counter()
    async with EmbeddedBroker(path, Metrics(), log, clock) as store:
        names = await store.partition_ids()
        commits = await store.committed(GROUP, names)
        for place, (start, end) in (await store.log_ranges(names)).items():
            commit = commits[place]
            topic, _ = place_of(place.topic)
            found[topic] += end - (start if commit is None else commit.offset)
    return found
