"""Breaks processes at random moments and puts them together again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from tests.chaos.length import SHORT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.chaos.role import Role
    from tests.chaos.traffic import Traffic

LONGEST_LIFE = 1.5
LONGEST_DEATH = 0.5
LONGEST_FREEZE = 2.0 if SHORT else 15.0
"""Kafka takes a member for dead after 10 s: one that freezes longer wakes as a zombie."""
WORKING_SECONDS = 60.0


class Monkey:
    """Kills (or, now and then, freezes) one of `roles` after the other and starts it again, until `stop`.

    Three times out of four it lets the role get to work first, which `working` waits for; else it strikes while the
    role is still starting. However soon it is stopped, every role is killed `at_least` so many times. `kills` counts them
    by the role's name. `aim` waits, if need be, for a moment that hurts.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        seed: int,
        working: Callable[[Role], Awaitable[None]],
        *,
        aim: Callable[[], Awaitable[None]] | None = None,
        at_least: int = 2,
    ) -> None:
        self._roles = roles
        self._random = Random(f"monkey-{seed}")  # noqa: S311 - chances that can be repeated
        self._working = working
        self._aim = aim
        self._at_least = at_least
        self._stopping = False
        self.kills: Counter[str] = Counter()

    def stop(self) -> None:
        """Let it finish; every role runs and is ready when `run` returns."""
        self._stopping = True

    async def run(self) -> None:
        """Strike until `stop`. Raises AssertionError when a role does not come back, or ended by itself."""
        while not (self._stopping and all(self.kills[role.name] >= self._at_least for role in self._roles)):
            for role in self._random.sample(self._roles, len(self._roles)):
                await self._strike(role)
        for role in self._roles:
            await asyncio.to_thread(role.wait_ready)

    async def _strike(self, role: Role) -> None:
        await self._pause(LONGEST_LIFE)
        if self._aim is not None:
            await self._aim()
        for each in self._roles:
            each.require_alive()
        if self._random.random() < 0.15:
            await self._freeze(role)
        else:
            await self._kill(role)
        if self._random.random() < 0.75:
            await asyncio.to_thread(role.wait_ready)
            await self._working(role)

    async def _kill(self, role: Role) -> None:
        # A supervisor may also die alone: what it started must then end by itself, and its successor wait for that.
        alone = len(role.family()) > 1 and self._random.random() < 0.4
        await asyncio.to_thread(role.kill_alone if alone else role.kill)
        self.kills[role.name] += 1
        await self._pause(LONGEST_DEATH)
        role.start()

    async def _freeze(self, role: Role) -> None:
        family = role.family()
        for member in family:
            member.send_signal(signal.SIGSTOP)
        try:
            await self._pause(LONGEST_FREEZE)
        finally:
            for member in family:
                member.send_signal(signal.SIGCONT)

    async def _pause(self, longest: float) -> None:
        await asyncio.sleep(self._random.uniform(0, longest))


async def ride_out(traffic: Traffic, monkey: Monkey) -> None:
    """Run both until the traffic is through and the monkey has done its share. Raises an exception group with what went wrong."""
    async with asyncio.TaskGroup() as group:
        group.create_task(monkey.run())
        await traffic.run()
        monkey.stop()


async def progress(count: Callable[[], Awaitable[int]], what: str, *, unless: Callable[[], bool]) -> None:
    """Wait until `count` has grown, or `unless` holds. Raises AssertionError with `what` after a minute."""
    before = await count()
    deadline = time.monotonic() + WORKING_SECONDS
    while await count() <= before and not unless():
        assert time.monotonic() < deadline, f"no progress within {WORKING_SECONDS:g} s: {what}"
        await asyncio.sleep(0.05)


async def until(count: Callable[[], Awaitable[int]], what: str, *, at_least: int) -> None:
    """Wait until `count` is `at_least` that. Raises AssertionError with `what` when it does not grow for a minute."""
    while (found := await count()) < at_least:
        await progress(count, f"{what}: {found} of {at_least}", unless=lambda: False)
