"""Asks `sluice audit` again and again while everything is running and being broken: the balance must hold at every moment (G7)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from tests.chaos.world import Balance

if TYPE_CHECKING:
    from tests.chaos.world import World

PAUSE_SECONDS = 0.2
"""A sample itself takes a second or two."""


class Auditor:
    """Samples until `stop`. A broker that is away cannot be asked: such a sample is `unanswered`, with the words of the command."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stopping = False
        self._settled: dict[str, int] = {}
        self.balanced = 0
        self.unanswered: Counter[str] = Counter()
        self.faults: list[str] = []

    def stop(self) -> None:
        """Let the sample that is being taken be the last."""
        self._stopping = True

    async def run(self) -> None:
        """Take samples; what is wrong with one goes to `faults`."""
        while not self._stopping:
            await self._sample()
            await asyncio.sleep(PAUSE_SECONDS)

    def summary(self) -> str:
        """Return one line: how many samples there were."""
        return f"audits: {self.balanced} balanced, {len(self.faults)} not, {self.unanswered.total()} unanswered"

    async def _sample(self) -> None:
        done = await self._world.run("audit", "--json")
        if not done.stdout:
            assert done.returncode == 1
            self.unanswered[done.stderr.decode().strip()] += 1
            return
        balances = [msgspec.json.decode(line, type=Balance) for line in done.stdout.splitlines()]
        assert {balance.storefront for balance in balances} == set(self._world.shops)
        faults = [fault for balance in balances if (fault := self._fault(balance)) is not None]
        if done.returncode:
            faults.append(f"exit code {done.returncode}")
        self.faults += faults
        self.balanced += not faults

    def _fault(self, balance: Balance) -> str | None:
        settled = balance.delivered + balance.dead_lettered
        before = self._settled.get(balance.storefront, 0)
        self._settled[balance.storefront] = settled
        if balance.unaccounted or balance.accepted != settled + balance.waiting:
            return f"out of balance: {balance}"
        if settled < before:
            return f"{before} were settled before: {balance}"
        return None
