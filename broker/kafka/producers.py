"""The idempotent producers that partitions publish through, one generation after another.

An idempotent producer numbers the batches of each partition. A batch that fails leaves a gap in the numbers of its
partition, and the producer is of no more use for that one, while all others go on: so a generation is replaced, not
stopped. Partitions take the newest producer with each batch; an old one ends when its last batch has.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from broker.interface import Unavailable
from broker.kafka.calls import BATCH_BYTES
from broker.kafka.connection import REQUEST_TIMEOUT_MS
from broker.kafka.inside import mortal, paced, with_lasting_zstd
from broker.kafka.refusals import said
from broker.kafka.teardown import stop_within

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from broker.kafka.connection import Connection

_START_SECONDS = 15.0
_STOP_SECONDS = 2.0
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 5.0


class Abandoned(Exception):
    """The producer was given up while the batch was under way: nobody knows what became of it."""


class Generation:
    """One producer, what is under way on it, and when it last got an acknowledgement (on the monotonic clock)."""

    def __init__(self, producer: Any, number: int) -> None:
        self.producer = producer
        self.number = number
        self.under_way: set[asyncio.Future[Any]] = set()
        self.last_acknowledgement = float("-inf")


class Producers:
    """Life: `start` → `usable`, `replace` … → `close`."""

    def __init__(self, connection: Connection, log: FilteringBoundLogger) -> None:
        self._connection = connection
        self._log = log
        self._current: Generation | None = None
        self._started = 0
        self._changed = asyncio.Event()
        self._replacing: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[Any]] = set()
        self._old: set[Generation] = set()

    async def start(self) -> None:
        """Start the first producer. Raises Unavailable."""
        try:
            self._current = await self._new()
        except (KafkaError, OSError, TimeoutError) as error:
            reason = "no answer" if isinstance(error, TimeoutError) else said(error)
            raise Unavailable(f"Kafka at {self._connection.servers} cannot be published to: {reason}") from None

    async def usable(self, avoid: Generation | None) -> Generation:
        """Return the newest producer, waiting for one after `avoid`."""
        while (current := self._current) is None or current is avoid:
            self.replace(avoid)
            self._changed.clear()
            await self._changed.wait()
        return current

    def replace(self, generation: Generation | None, *, reason: str = "") -> None:
        """Start a producer to take over from `generation`, unless that was done or is being done. Does not wait."""
        if self._current is generation and (self._replacing is None or self._replacing.done()):
            self._replacing = asyncio.create_task(self._replace(reason), name="kafka producer replacement")

    def is_current(self, generation: Generation) -> bool:
        """Whether there is no newer one."""
        return self._current is generation

    async def answers(self, seconds: float) -> bool:
        """Whether Kafka answers the newest producer within `seconds`."""
        if self._current is None:
            return False
        try:
            async with asyncio.timeout(seconds):
                return bool(await self._current.producer.client.force_metadata_update())
        except TimeoutError:
            return False

    def renew(self, reason: str) -> None:
        """Start a producer that looks for the cluster anew: all its brokers may have moved. Does not wait."""
        self.replace(self._current, reason=reason)

    def landed(self, generation: Generation, outcome: asyncio.Future[Any] | None) -> None:
        """Note that a batch is no longer under way; None when it did not get that far."""
        if outcome is not None:
            generation.under_way.discard(outcome)
        if generation in self._old and not generation.under_way:
            self._end(generation)

    async def close(self, *, drained: bool) -> None:
        """Stop all of them; at once unless they are `drained`, for then there is something to wait for in vain. Idempotent."""
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.wait([self._replacing])
        generations = [*self._old, *([self._current] if self._current else [])]
        self._current = None
        self._old.clear()
        await asyncio.gather(
            *(stop_within(generation.producer, _STOP_SECONDS if drained else 0) for generation in generations),
            *self._ending,
        )

    async def _replace(self, reason: str) -> None:
        wait = _FIRST_WAIT_SECONDS
        fresh = None
        while fresh is None:
            try:
                fresh = await self._new()
            except (KafkaError, OSError, TimeoutError):
                # Why Kafka is away is told elsewhere; here it is only tried until it is back.
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        old, self._current = self._current, fresh
        self._changed.set()
        if old is not None:
            self._log.info("kafka producer replaced", generation=fresh.number, reason=reason)
            self._old.add(old)
            if not old.under_way:
                self._end(old)

    async def _new(self) -> Generation:
        with_lasting_zstd()
        producer = paced(
            AIOKafkaProducer(
                **self._connection.arguments(),
                acks="all",
                enable_idempotence=True,
                compression_type="zstd",
                max_batch_size=BATCH_BYTES,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                metadata_max_age_ms=30_000,
            )
        )
        try:
            async with asyncio.timeout(_START_SECONDS):
                await producer.start()
        except BaseException:
            await stop_within(producer, 0)
            raise
        self._started += 1
        return Generation(mortal(producer), self._started)

    def _end(self, generation: Generation) -> None:
        self._old.discard(generation)
        task = asyncio.create_task(stop_within(generation.producer, _STOP_SECONDS), name="kafka producer end")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
