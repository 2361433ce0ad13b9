"""The topic catalogue: every topic that Sluice writes, its partitions, retention and limits (RECORDS §1)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

DAY_MS = 24 * 60 * 60 * 1000
MIB = 1024 * 1024

EVENTS_PREFIX = "ecommerce.events."
REJECTED = "ecommerce.rejected"
DEAD_LETTERS = "ecommerce.dead-letters"
COMMANDS = "commands"
LEDGER = "scheduler.ledger"
METRICS_PREFIX = "metrics."

FORWARDER_GROUP = "sluice-forwarder"
SCHEDULER_GROUP = "sluice-scheduler"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be. `retention_ms`: of records (cleanup "delete") or of tombstones ("compact"). `held_by`: a consumer
    group whose undelivered records the embedded log keeps beyond the retention.
    """

    name: str
    partitions: int
    cleanup: Literal["delete", "compact"]
    retention_ms: int
    max_message_bytes: int
    log_append_time: bool = False
    held_by: str | None = None


def events_topic(storefront: str) -> str:
    """Return the topic of one storefront's events."""
    return EVENTS_PREFIX + storefront


def storefront_of(topic: str) -> str:
    """Return whose events `topic` holds. Raises ValueError when it holds none."""
    if not topic.startswith(EVENTS_PREFIX):
        raise ValueError(f"{topic} holds no storefront's events")
    return topic.removeprefix(EVENTS_PREFIX)


def events_spec(storefront: str, partitions: int) -> TopicSpec:
    """Return how a storefront's topic should be: 40 days, 2 MiB a record, the log's own timestamps."""
    return TopicSpec(
        events_topic(storefront),
        partitions,
        "delete",
        40 * DAY_MS,
        2 * MIB,
        log_append_time=True,
        held_by=FORWARDER_GROUP,
    )


def rejected_spec(partitions: int) -> TopicSpec:
    """Return how the topic of refused events should be: 7 days, 4 MiB a record."""
    return TopicSpec(REJECTED, partitions, "delete", 7 * DAY_MS, 4 * MIB)


def dead_letters_spec(partitions: int) -> TopicSpec:
    """Return how the dead-letter topic should be: 40 days, 4 MiB a record (it adds headers)."""
    return TopicSpec(DEAD_LETTERS, partitions, "delete", 40 * DAY_MS, 4 * MIB)


def commands_spec(partitions: int) -> TopicSpec:
    """Return how the topic of wanted states should be: compacted."""
    return TopicSpec(COMMANDS, partitions, "compact", 7 * DAY_MS, MIB)


def metrics_topic(source: str, dataset: str) -> str:
    """Return the topic of the rows that all exports of one vendor's dataset publish."""
    return f"{METRICS_PREFIX}{source}.{dataset}"


def metrics_spec(source: str, dataset: str, partitions: int) -> TopicSpec:
    """Return how a topic of export rows should be: compacted, tombstones 7 days, 4 MiB a record.

    A row is small, but of a record dataset it is the whole record as the vendor wrote it: an order with all its lines.
    """
    return TopicSpec(metrics_topic(source, dataset), partitions, "compact", 7 * DAY_MS, 4 * MIB)


def ledger_spec(partitions: int) -> TopicSpec:
    """Return how the scheduler's ledger should be: compacted, tombstones 7 days, 1 MiB a record.

    Its shards are kept to 256 kB; what is above that is room for coverage and a vendor's job handle.
    """
    return TopicSpec(LEDGER, partitions, "compact", 7 * DAY_MS, MIB)


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key: `crc32(key) % n`, the rule that librdkafka calls `consistent`."""
    return zlib.crc32(key) % partitions
