"""`python -m tests.broker.spool.filling DIRECTORY`: a spool in DIRECTORY, on a disk that is soon full, is filled, and drained again.

Prints, in JSON, how many records were accepted before the disk was full, while it was, and afterwards; and what was drained. Where files
may not grow beyond a limit, it is lifted before they are drained.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from broker.interface import BrokerError, Publisher, Unavailable
from broker.spool import reserve, spool
from broker.spool.flags import OPEN
from broker.spool.publisher import SpooledPublisher
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from tests.broker.backend import quiet_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.interface import Message

TOPIC = "ecommerce.events.demo"
MAX_BYTES = 1 << 30
RECORD_BYTES = 50_000
SECONDS = 30.0
SOMEBODY_ELSES = "somebody-elses"


class Kept(Publisher):
    """Keeps in memory the numbers of the records that it is given, when it is not away."""

    def __init__(self) -> None:
        self.away = True
        self.numbers: list[int] = []

    def publish(
        self, topic: str, partition: int, messages: Sequence[Message], *, precious: bool = False
    ) -> asyncio.Future[None]:
        del topic, partition, precious
        if self.away:
            raise Unavailable("it is away")
        self.numbers += [int((value or b"").split()[0]) for _, value, _ in messages]
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    def fault(self) -> str | None:
        return "it is away" if self.away else None

    async def close(self, timeout: float = 10) -> None:  # noqa: ASYNC109  # the interface's
        pass


class Filling:
    """Numbered records for one lane, of which each is accepted or not."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._number = 0
        self.accepted: list[int] = []
        self.refusals: set[str] = set()

    async def one(self) -> bool:
        """Publish a record; return whether it was accepted."""
        self._number += 1
        value = b"%d " % self._number + os.urandom(RECORD_BYTES)
        try:
            await self._publisher.publish(TOPIC, 0, [(None, value, [])])
        except BrokerError as error:
            self.refusals.add(type(error).__name__)
            return False
        self.accepted.append(self._number)
        return True

    async def until_refused(self) -> int:
        """Publish until one is not accepted; return how many were by then."""
        while await self.one():
            assert self._number * RECORD_BYTES < MAX_BYTES, "it is never full"
        return len(self.accepted)


def eat_what_is_left(path: Path) -> None:
    """Leave nothing of a disk that is nearly full."""
    found = os.statvfs(path)
    left = found.f_bavail * found.f_frsize
    if 0 < left < MAX_BYTES:
        with (path / SOMEBODY_ELSES).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, left)


async def fill(path: Path) -> dict[str, object]:
    """Do it all."""
    log = Kept()
    its = spool.Spool(str(path), MAX_BYTES, Metrics(), quiet_log(), SystemClock())
    await its.start({TOPIC: 1})
    await its.drain_into(log)
    its.relieve(TOPIC, 0, [], "it is away")
    filling = Filling(SpooledPublisher(log, its))
    before = await filling.until_refused()
    eat_what_is_left(path)
    full_until = time.monotonic() + 1.5
    while time.monotonic() < full_until:
        await filling.one()
        await asyncio.sleep(0.05)
    meanwhile = len(filling.accepted)
    fault = its.fault()
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    log.away = False
    deadline = time.monotonic() + SECONDS
    while its.state(TOPIC, 0) != OPEN:
        assert time.monotonic() < deadline, "it is not drained"
        await asyncio.sleep(0.05)
    drained = list(log.numbers)
    (path / SOMEBODY_ELSES).unlink(missing_ok=True)
    log.away = True
    deadline = time.monotonic() + SECONDS
    while not await filling.one():
        # An empty lane is open again before anything is accepted for it.
        its.relieve(TOPIC, 0, [], "it is away again")
        assert time.monotonic() < deadline, f"not accepted again: {filling.refusals}"
        await asyncio.sleep(0.05)
    after = len(filling.accepted)
    await its.close()
    return {
        "before": before,
        "meanwhile": meanwhile - before,
        "after": after - meanwhile,
        "fault": fault,
        "refusals": sorted(filling.refusals),
        "accepted": filling.accepted,
        "drained": drained,
    }


if __name__ == "__main__":
    spool.ACK_TIMEOUT_SECONDS = 0.5  # type: ignore[misc]  # as long as anybody here waits
    reserve._PATIENCE_SECONDS = 1.0  # type: ignore[misc]  # the same, and a little more
    sys.stdout.write(json.dumps(asyncio.run(fill(Path(sys.argv[1])))))
