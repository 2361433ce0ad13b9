"""A bare consumer loop: `python -m bench.bare_forwarder BOOTSTRAP TOPIC EVENTS SINK_PORT`; prints events/s as JSON.

`getmany`, batches of 100 through `orjson.Fragment`, 16 posts in flight; no order, no tracking, no commits, no retries: what a forwarder
on aiokafka and aiohttp could do at best on this machine, in this minute.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from typing import TYPE_CHECKING

import aiohttp
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Sequence

PER_BATCH = 100
IN_FLIGHT = 16
MAX_RECORDS = 2_000
"""Read at once: more would grow cold before it is posted."""
PATH = "/v1/api/analytics/ecommerce/batch"


async def run(bootstrap: str, topic: str, events: int, sink_port: int) -> dict[str, float]:
    """Read and post so many events."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=1_048_576,
    )
    await consumer.start()
    await consumer._client.force_metadata_update()  # noqa: SLF001 - partitions_for_topic answers from what is known
    partitions = consumer.partitions_for_topic(topic) or set()
    consumer.assign([TopicPartition(topic, each) for each in partitions])
    await consumer.seek_to_beginning()
    slots = asyncio.Semaphore(IN_FLIGHT)
    posted = 0
    url = f"http://127.0.0.1:{sink_port}{PATH}"
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)  # as in a role's process
    started = time.monotonic()
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session,
        asyncio.TaskGroup() as posts,
    ):

        async def post(values: Sequence[bytes]) -> None:
            nonlocal posted
            body = orjson.dumps({"events": [orjson.Fragment(value) for value in values]})
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
                await response.read()
            posted += len(values)
            slots.release()

        seen = 0
        while seen < events:
            for records in (await consumer.getmany(timeout_ms=1000, max_records=MAX_RECORDS)).values():
                seen += len(records)
                for start in range(0, len(records), PER_BATCH):
                    await slots.acquire()
                    posts.create_task(post([each.value for each in records[start : start + PER_BATCH]]))
    elapsed = time.monotonic() - started
    await consumer.stop()
    return {"events_per_second": posted / elapsed}


if __name__ == "__main__":
    _, bootstrap_text, topic_text, events_text, port_text = sys.argv
    print(orjson.dumps(uvloop.run(run(bootstrap_text, topic_text, int(events_text), int(port_text)))).decode())
