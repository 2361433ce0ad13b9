"""Reading outside of any group: what is committed, from the beginning or the end, to the end or for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError, OffsetOutOfRangeError

from broker.interface import Unavailable
from broker.kafka.connection import REQUEST_TIMEOUT_MS
from broker.kafka.fetched import with_lean_records
from broker.kafka.inside import paced, with_lasting_zstd
from broker.kafka.refusals import said
from broker.kafka.teardown import stop_within

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from broker.interface import Record
    from broker.kafka.connection import Connection
    from runtime.clock import Clock

_START_SECONDS = 15.0
_STOP_SECONDS = 2.0
_SILENCE_SECONDS = 15.0
_FOLLOW_POLL_MS = 1_000
_REST_POLL_MS = 50
_QUIET_ROUNDS = 2

# Larger than any record that a topic of ours takes: an empty answer then means that there is nothing, not that it did not fit.
_FETCH_BYTES = 8 * 1024 * 1024


async def read(
    connection: Connection,
    clock: Clock,
    topic: str,
    partitions: Sequence[int],
    *,
    start: int,
    from_beginning: bool,
    follow: bool,
) -> AsyncGenerator[Record]:
    """Yield the records of `partitions`, which exist; see `Broker.read`. Raises Unavailable."""
    with_lasting_zstd()
    with_lean_records()
    consumer = paced(
        AIOKafkaConsumer(
            **connection.arguments(),
            enable_auto_commit=False,
            auto_offset_reset="none",
            # With open transactions the log ends, for this consumer, where the first of them begins.
            isolation_level="read_committed",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=5_000,
            fetch_max_wait_ms=500 if follow else 50,
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_bytes=_FETCH_BYTES,
        )
    )
    asked = [ClientPartition(topic, partition) for partition in partitions]
    try:
        ends = await _place(consumer, asked, start, from_beginning=from_beginning)
        records = _follow(consumer) if follow else Rest(consumer, clock, ends).records()
        async for record in records:
            yield record
    except (KafkaError, OSError, TimeoutError) as error:
        raise Unavailable(f"topic {topic} cannot be read from Kafka at {connection.servers}: {said(error)}") from None
    finally:
        await stop_within(consumer, _STOP_SECONDS)


async def _place(
    consumer: Any, partitions: Sequence[Any], start: int, *, from_beginning: bool
) -> dict[Any, tuple[int, int]]:
    """Start the consumer where it is to read; return where each partition begins for it, and ends."""
    async with asyncio.timeout(_START_SECONDS):
        await consumer.start()
        starts = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
    if not from_beginning:
        starts = ends
    starts = {partition: min(max(start, starts[partition]), ends[partition]) for partition in partitions}
    # In one go: the consumer must not look for positions itself.
    consumer.assign(partitions)
    for partition in partitions:
        consumer.seek(partition, starts[partition])
    return {partition: (starts[partition], ends[partition]) for partition in partitions}


async def _follow(consumer: Any) -> AsyncGenerator[Record]:
    while True:
        for records in (await _next(consumer, _FOLLOW_POLL_MS)).values():
            for record in records:
                yield record


async def _next(consumer: Any, timeout_ms: int) -> dict[Any, list[Record]]:
    try:
        records: dict[Any, list[Record]] = await consumer.getmany(timeout_ms=timeout_ms)
    except OffsetOutOfRangeError as error:
        # Retention was faster: what is left begins here.
        starts = await consumer.beginning_offsets(list(error.args[0]))
        for partition, start in starts.items():
            consumer.seek(partition, start)
        return {}
    return records


class Rest:
    """What there is up to the ends as they were at the call.

    The last offsets may hold nothing that is ever returned (compaction took it, or a transaction's end mark stood there)
    and then even the position may never come to the end. That nothing is left is known when the broker answered for all
    that remain, twice, with nothing.
    """

    def __init__(self, consumer: Any, clock: Clock, ends: Mapping[Any, tuple[int, int]]) -> None:
        self._consumer = consumer
        self._clock = clock
        self._remaining = {partition: end for partition, (start, end) in ends.items() if start < end}
        for partition in ends.keys() - self._remaining.keys():
            consumer.pause(partition)
        self._answers: dict[Any, tuple[int, int | None]] = {}
        self._quiet = 0
        self._heard = clock.monotonic()

    async def records(self) -> AsyncGenerator[Record]:
        """Yield them. Raises KafkaTimeoutError when Kafka falls silent."""
        while self._remaining and self._quiet < _QUIET_ROUNDS:
            fetched = await _next(self._consumer, _REST_POLL_MS)
            for partition, records in fetched.items():
                end = self._remaining.get(partition, 0)
                for record in records:
                    if record.offset >= end:
                        break
                    yield record
            await self._look(anything=bool(fetched))

    async def _look(self, *, anything: bool) -> None:
        """Let go of the partitions that are read to their ends; count the rounds in which Kafka had nothing more."""
        answers: dict[Any, tuple[int, int | None]] = {}
        for partition, end in list(self._remaining.items()):
            position = await self._consumer.position(partition)
            if position >= end:
                del self._remaining[partition]
                self._consumer.pause(partition)
            else:
                answers[partition] = (position, self._consumer.last_poll_timestamp(partition))
        now = self._clock.monotonic()
        before = self._answers
        if anything or any(before.get(each, (None,))[0] != answer[0] for each, answer in answers.items()):
            self._quiet = 0
        elif all(before[each][1] != answer[1] for each, answer in answers.items()):
            self._quiet += 1
        else:
            if now - self._heard > _SILENCE_SECONDS:
                raise KafkaTimeoutError(f"nothing was heard for {now - self._heard:.0f} s")
            return
        self._answers = answers
        self._heard = now
