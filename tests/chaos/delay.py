"""How long events were on their way: from the log that accepted them to their first arrival at the ingestion API."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import orjson

from schemas.topics import events_topic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.configuration import Shop
    from tests.chaos.upstream import Upstream
    from tests.chaos.world import World

LEAST = 50
"""Of so many events a percentile says something."""


class Window(NamedTuple):
    """A span of time in which events were accepted, in seconds since the epoch."""

    start: float
    end: float

    @classmethod
    def since(cls, start: float) -> Window:
        return cls(start, time.time())


class Delays:
    """The delays of one storefront's events, in seconds, with the moment of their acceptance."""

    def __init__(self, delays: Sequence[tuple[float, float]]) -> None:
        self._delays = delays

    @classmethod
    async def of(cls, world: World, upstream: Upstream, shop: Shop) -> Delays:
        """Look up what was accepted and has arrived."""
        moments = await upstream.moments(shop)
        delays: list[tuple[float, float]] = []
        async with world.broker() as broker:
            async for record in broker.read(events_topic(shop.name)):
                number = int(orjson.loads(record.value or b"")["properties"]["n"])
                if number in moments:
                    accepted = record.timestamp / 1000
                    # A client that had no answer sends an event again: then its second record was accepted after its arrival.
                    delays.append((accepted, max(0.0, moments[number] - accepted)))
        return cls(delays)

    def p99(self, window: Window) -> float:
        """Return how long 99 of 100 events took at most, of those accepted in `window`."""
        delays = sorted(delay for accepted, delay in self._delays if window.start <= accepted < window.end)
        assert len(delays) >= LEAST, f"only {len(delays)} events in {window}"
        return delays[int(len(delays) * 0.99)]
