"""Traffic of several storefronts at once: many lanes, each with its own visitors, at a bounded rate."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import aiohttp

from tests.chaos.client import Client
from tests.chaos.ledger import Ledger
from tests.chaos.shopping import Shopping

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Self

    from tests.chaos.configuration import Shop
    from tests.chaos.world import World

LANES = 6
"""For each storefront."""
LARGEST_BATCH = 100


class Traffic:
    """`total` events for `shops` of `world`, about `per_second` of them a second. Life: made → `run` to its end.

    What was promised stands in `ledgers`, by the storefront's name.
    """

    def __init__(self, world: World, total: int, per_second: float, shops: Collection[Shop] | None = None) -> None:
        self.ledgers: Mapping[str, Ledger] = {
            shop.name: Ledger(shop) for shop in (world.shops.values() if shops is None else shops)
        }
        self._world = world
        self._left = total
        self._pace = _Pace(per_second)

    @property
    def sent(self) -> int:
        """How many events were made by now."""
        return sum(ledger.sent for ledger in self.ledgers.values())

    @property
    def acknowledged(self) -> int:
        """How many events are promised by now."""
        return sum(ledger.acknowledged for ledger in self.ledgers.values())

    def answers(self, beginning: str) -> int:
        """Return how many answers came whose name begins so (`200`, `503 NOT_DURABLE`, `none`)."""
        return sum(
            count
            for ledger in self.ledgers.values()
            for name, count in ledger.answers.items()
            if name.startswith(beginning)
        )

    def summary(self) -> str:
        """Return one line: what was sent, promised and answered."""
        answers: Counter[str] = Counter()
        for ledger in self.ledgers.values():
            answers.update(ledger.answers)
        return f"{self.sent:,} events sent, {self.acknowledged:,} acknowledged; answers: {dict(answers.most_common())}"

    @property
    def finished(self) -> bool:
        """Whether every event was made; the last may still wait for their answers."""
        return self._left == 0

    async def run(self) -> Self:
        """Send everything, and return when all of it is answered or given up."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as lanes:
            for place, ledger in enumerate(self.ledgers.values()):
                for lane in range(LANES):
                    random = Random(f"{self._world.seed}-{place}-{lane}")  # noqa: S311 - chances that can be repeated
                    client = Client(session, self._world.gateway_url, ledger, random)
                    lanes.create_task(self._lane(client, Shopping(lane, ledger, random), random))
        return self

    async def _lane(self, client: Client, shopping: Shopping, random: Random) -> None:
        while True:
            wanted = 1 if random.random() < 0.5 else random.randint(2, LARGEST_BATCH)
            count = min(wanted, self._left)
            self._left -= count
            if not count:
                return
            await self._pace.turn(count)
            await client.send(shopping.events(count))


class _Pace:
    """Spreads events over time. What could not be sent in time is not made up for."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._due = time.monotonic()

    async def turn(self, events: int) -> None:
        due = max(self._due, time.monotonic())
        self._due = due + events / self._per_second
        await asyncio.sleep(due - time.monotonic())
