"""A process that publishes numbers to a topic and prints each when it is acknowledged: `python -m … DIRECTORY TOPIC PARTITIONS FIRST`."""

from __future__ import annotations

import asyncio
import sys

from broker.embedded.broker import EmbeddedBroker
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from tests.broker.backend import quiet_log

IN_FLIGHT = 8


async def publish(directory: str, topic: str, partitions: int, first: int) -> None:
    """Publish for ever. Number n goes to partition n % partitions, in a call of one to three numbers with the same rest."""
    broker = EmbeddedBroker(directory, Metrics(), quiet_log(), SystemClock())
    await broker.start()
    publisher = await broker.publisher()
    room = asyncio.Semaphore(IN_FLIGHT)
    number = [first + partition for partition in range(partitions)]
    turn = 0
    while True:
        await room.acquire()
        partition = turn % partitions
        count = 1 + turn % 3
        turn += 1
        numbers = [number[partition] + step * partitions for step in range(count)]
        number[partition] += count * partitions
        done = publisher.publish(topic, partition, [(b"key", b"%d" % n, [("n", b"%d" % n)]) for n in numbers])

        def acknowledged(done: asyncio.Future[None], last: int = numbers[-1]) -> None:
            done.result()
            room.release()
            sys.stdout.write(f"{last}\n")
            sys.stdout.flush()

        done.add_done_callback(acknowledged)


if __name__ == "__main__":
    asyncio.run(publish(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
