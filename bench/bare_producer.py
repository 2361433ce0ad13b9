"""A bare producer loop: `python -m bench.bare_producer BOOTSTRAP TOPIC SECONDS`; prints events/s as JSON.

`create_batch`, `append`, `send_batch` with acks=all, one sender per partition, headers as the gateway writes them; no HTTP, no
validation, no keys: what aiokafka can do at best on this machine, in this minute.
"""

from __future__ import annotations

import asyncio
import sys
import time

import orjson
import uvloop
from aiokafka import AIOKafkaProducer

from bench import payloads

PER_BATCH = 500
HEADERS = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"00000000000000000000000000000000-00"),
    ("ce_source", b"/storefronts/demo"),
    ("ce_type", b"ecommerce.view_item"),
    ("ce_time", b"2026-01-01T00:00:00.000Z"),
    ("content-type", b"application/json"),
]


async def run(bootstrap: str, topic: str, seconds: float) -> dict[str, float]:
    """Produce for so long."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        max_batch_size=1_048_576,
        compression_type="zstd",
    )
    await producer.start()
    values = payloads.events(1000)
    partitions = await producer.partitions_for(topic)
    deadline = time.monotonic() + seconds
    acknowledged = 0

    async def send(partition: int) -> None:
        nonlocal acknowledged
        position = 0
        while time.monotonic() < deadline:
            batch = producer.create_batch()
            for _ in range(PER_BATCH):
                value = values[position]
                position = (position + 1) % len(values)
                batch.append(key=b"user_123", value=value, timestamp=None, headers=HEADERS)
            batch.close()
            await (await producer.send_batch(batch, topic, partition=partition))
            acknowledged += PER_BATCH

    started = time.monotonic()
    try:
        await asyncio.gather(*map(send, sorted(partitions)))
    finally:
        await producer.stop()
    return {"events_per_second": acknowledged / (time.monotonic() - started)}


if __name__ == "__main__":
    _, bootstrap_text, topic_text, seconds_text = sys.argv
    print(orjson.dumps(uvloop.run(run(bootstrap_text, topic_text, float(seconds_text)))).decode())
