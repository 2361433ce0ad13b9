"""A process that is a member of a group and says what it owns: `python -m … DIRECTORY GROUP TOPIC`."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from broker.embedded.broker import EmbeddedBroker
from broker.embedded.timing import Timing
from broker.interface import Commit, Fenced, RebalanceListener
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from tests.broker.backend import quiet_log

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from broker.interface import Assignment, Subscription, TopicPartition


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Owner(RebalanceListener):
    """Commits 1 for everything that it loses, and says whether it could."""

    subscription: Subscription

    async def assigned(self, assignments: Sequence[Assignment]) -> None:
        say(f"assigned {len(assignments)}")

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        try:
            await self.subscription.commit(dict.fromkeys(partitions, Commit(1, "late")))
        except Fenced:
            say(f"fenced {len(partitions)}")
        else:
            say(f"revoked {len(partitions)}")


async def join(directory: str, group: str, topic: str) -> None:
    broker = EmbeddedBroker(
        directory, Metrics(), quiet_log(), SystemClock(), Timing(session_timeout=0.6, heartbeat=0.1)
    )
    await broker.start()
    owner = Owner()
    owner.subscription = await broker.subscribe(group, [topic], owner)
    while True:
        await owner.subscription.poll(0.1)


if __name__ == "__main__":
    asyncio.run(join(*sys.argv[1:4]))
