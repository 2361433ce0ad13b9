"""Fills a storefront's topic with a backlog: `python -m bench.fill CONFIG STOREFRONT EVENTS`.

Through our own publisher, keyed by visitor; prints events/s as JSON.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import orjson
import structlog
import uvloop

from bench import payloads
from bench.bare_producer import HEADERS
from broker.factory import open_broker
from runtime.clock import SystemClock
from runtime.config import load
from runtime.metrics import Metrics
from schemas.topics import events_spec, partition_of

PER_CALL = 2_000


async def fill(config: Path, storefront: str, events: int) -> dict[str, float]:
    """Publish so many events and wait for the acknowledgements; returns how many a second."""
    settings = load(config)
    spec = events_spec(storefront, settings.broker.partitions)
    made = [(orjson.loads(each)["user_id"].encode(), each) for each in payloads.events(PER_CALL)]
    lanes: dict[int, list[tuple[bytes, bytes, list[tuple[str, bytes]]]]] = {}
    for key, value in made:
        lanes.setdefault(partition_of(key, spec.partitions), []).append((key, value, HEADERS))
    async with open_broker(
        settings.broker, Metrics(), structlog.wrap_logger(structlog.PrintLogger(sys.stderr)), SystemClock()
    ) as broker:
        await broker.ensure_topics([spec])
        publisher = await broker.publisher(ack_timeout=60)
        started = time.monotonic()
        for _ in range(0, events, PER_CALL):
            futures = [publisher.publish(spec.name, partition, messages) for partition, messages in lanes.items()]
            for future in futures:
                await future
        elapsed = time.monotonic() - started
        await publisher.close()
    return {"events_per_second": events / elapsed}


if __name__ == "__main__":
    print(orjson.dumps(uvloop.run(fill(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))).decode())
