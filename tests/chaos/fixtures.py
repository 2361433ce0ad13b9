"""The fixtures that chaos and e2e share: worlds that are ended afterwards, and a session to talk to them with."""

from __future__ import annotations

import os
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.chaos.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.chaos.configuration import Log

SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
"""What chance grows from in this run; CHAOS_SEED repeats one."""


@contextmanager
def ended(world: World, request: pytest.FixtureRequest) -> Iterator[World]:
    """Yield `world`; end all of it on leaving, and tell where its logs are when a test failed meanwhile."""
    failed_before = request.session.testsfailed
    try:
        yield world
    finally:
        world.close()
        reporter = request.config.pluginmanager.get_plugin("terminalreporter")
        if request.session.testsfailed > failed_before and reporter is not None:
            reporter.write_line(f"CHAOS_SEED={world.seed}; the roles' logs are in {world.logs}")


@pytest.fixture
def make_world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., World]]:
    """Makes the test's world: `make_world(["acme", "beta"], log=Log(…))`. Nothing of it runs yet."""
    contexts: list[AbstractContextManager[World]] = []

    def make(shops: Sequence[str], log: Log | None = None) -> World:
        context = ended(World(tmp_path / f"world-{len(contexts)}", shops, log=log, seed=SEED), request)
        contexts.append(context)
        return context.__enter__()

    yield make
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client for what the test itself asks."""
    async with aiohttp.ClientSession() as client:
        yield client
