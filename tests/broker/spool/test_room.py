"""How a spool's room is measured."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.topics import events_spec
from tests.broker.spool.outage import Gateway

if TYPE_CHECKING:
    from tests.broker.embedded.opening import Opener


def locks_on(path: Path) -> int:
    """Return how many locks of processes there are on a file."""
    inode = f":{path.stat().st_ino} "
    return sum("POSIX" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


async def test_measuring_takes_no_locks_from_sqlite(opener: Opener, tmp_path: Path) -> None:
    # Whoever closes a file gives up all the locks that the process has on it: others would then shorten what is still used.
    log = await opener.open()
    await log.ensure_topics([events_spec("demo", 2)])
    gateway = await Gateway(log, tmp_path / "spool").start()
    files = [tmp_path / "spool" / name for name in ("events.db", "events.db-shm")]
    before = [await asyncio.to_thread(locks_on, file) for file in files]
    assert before[1]
    room = gateway.spool._room
    assert room is not None
    await room._measure()
    after = [await asyncio.to_thread(locks_on, file) for file in files]
    assert after[1] >= before[1]
    await gateway.stop()
