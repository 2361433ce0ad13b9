"""An answer much larger than what a scheduler may take of memory, from the vendor to the topic, in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import structlog

from bench.large_pull import Answers, measure_pulls
from bench.places import Place
from broker.factory import open_broker
from runtime.clock import SystemClock
from runtime.config import load
from runtime.metrics import Metrics
from schemas.topics import metrics_topic

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTES = 40
DAYS = 365
MOST_MB = 160
"""What the process may take: some 70 MB do nothing yet, and of rows there may be some on their way and in the caches of databases."""


async def test_all_of_it_is_published_and_little_of_it_is_ever_in_memory(tmp_path: Path) -> None:
    place = Place.embedded(tmp_path / "large", "large")
    answers = Answers("tolinku", "plain", MEGABYTES)
    [pull] = measure_pulls(place, answers, ["first"])
    assert pull.answer_mb >= MEGABYTES
    assert pull.rows == DAYS
    assert pull.seen.memory_mb < MOST_MB
    broker = open_broker(load(place.config).broker, Metrics(), structlog.get_logger(), SystemClock())
    size, days, texts = 0, set(), set()
    async with broker:
        async for record in broker.read(metrics_topic("tolinku", "revenue-timeseries")):
            row = orjson.loads(record.value or b"")
            size += len(record.value or b"")
            days.add(row["bucket_start"])
            texts.add(row["attributes"]["text"])
            assert row["revision"] == 1
    assert len(days) == DAYS
    assert len(texts) == 16  # as many as the vendor has
    assert size >= MEGABYTES * 1e6
