"""The fixtures that chaos and e2e share: worlds that are ended afterwards, and a session to talk to them with."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.chaos.world import World
from tests.kafka import jars

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from tests.chaos.configuration import Log

SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))
"""What chance grows from in this run; CHAOS_SEED repeats one."""
WORLDS = jars.CACHE.parent / "worlds"


@contextmanager
def world_of(
    name: str, request: pytest.FixtureRequest, shops: Sequence[str], log: Log | None = None
) -> Iterator[World]:
    """Yield a new world; nothing of it runs. On leaving all of it is ended, and deleted unless a test failed meanwhile."""
    # Beside the project: the system's place for temporary files may be memory, and is swept by other test runs.
    WORLDS.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-", dir=WORLDS))
    world = World(folder, shops, log=log, seed=SEED)
    failed_before = request.session.testsfailed
    try:
        yield world
    finally:
        world.close()
        # A test's failure is counted before its fixtures end.
        if request.session.testsfailed == failed_before:
            shutil.rmtree(folder)
        else:
            world.notes.append(f"CHAOS_SEED={world.seed}; data and logs are kept in {folder}")
        _tell(request.config, [f"{name}: {note}" for note in world.notes])


def _tell(config: pytest.Config, lines: Sequence[str]) -> None:
    """Write lines for whoever runs the tests, also when they pass."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    if reporter is None or capture is None:
        return
    with capture.global_and_fixture_disabled():
        for line in lines:
            reporter.ensure_newline()
            reporter.write_line(line)


@pytest.fixture
def make_world(request: pytest.FixtureRequest) -> Iterator[Callable[..., World]]:
    """Makes the test's world: `make_world(["acme", "beta"], log=Log(…))`. Nothing of it runs yet."""
    with ExitStack() as worlds:

        def make(shops: Sequence[str], log: Log | None = None) -> World:
            return worlds.enter_context(world_of(request.node.name, request, shops, log))

        yield make


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client for what the test itself asks."""
    async with aiohttp.ClientSession() as client:
        yield client
