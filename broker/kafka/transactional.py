"""Transactions over several topics, by the one owner of a transactional id."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
)

from broker.interface import (
    BrokerError,
    Fenced,
    NotAcknowledged,
    RecordTooLarge,
    Transaction,
    TransactionalPublisher,
    Unavailable,
    UnknownTopic,
)
from broker.kafka.calls import BATCH_BYTES, Hold, record_bytes
from broker.kafka.connection import REQUEST_TIMEOUT_MS
from broker.kafka.inside import paced, with_lasting_zstd
from broker.kafka.refusals import Meaning, as_ours, meaning, said
from broker.kafka.teardown import stop_within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from broker.interface import Message
    from broker.kafka.catalogue import Catalogue
    from broker.kafka.connection import Connection
    from runtime.clock import Clock

_START_SECONDS = 20.0
_STEP_SECONDS = 30.0
_STOP_SECONDS = 3.0
_TRANSACTION_MS = 60_000

# Kafka says "fenced" also of a transaction that took too long and was aborted: either way the owner has to look again.
_FENCED = (ProducerFenced, InvalidProducerEpoch, InvalidProducerIdMapping, InvalidTxnState, OutOfOrderSequenceNumber)
# What aiokafka raises in states that only a lost transaction leads to.
_FAILED = (KafkaError, IllegalOperation, AssertionError)


class KafkaTransactionalPublisher(TransactionalPublisher):
    """See `broker.interface.TransactionalPublisher`. Life: `start` (by KafkaBroker) → `transaction` … → `close`.

    After a transaction that failed for whatever reason but its user's, it refuses any other: close it, look at ownership
    again, start anew.
    """

    def __init__(self, connection: Connection, catalogue: Catalogue, clock: Clock, transactional_id: str) -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._clock = clock
        self._id = transactional_id
        self._producer: Any = None
        self._over: BrokerError | None = None
        self._transactions = asyncio.Lock()

    async def start(self) -> None:
        """Fence the owner before. Raises Unavailable."""
        with_lasting_zstd()
        self._producer = paced(
            AIOKafkaProducer(
                **self._connection.arguments(),
                transactional_id=self._id,
                acks="all",
                compression_type="zstd",
                max_batch_size=BATCH_BYTES,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                transaction_timeout_ms=_TRANSACTION_MS,
            )
        )
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._producer.start()
        except BaseException as error:
            await stop_within(self._producer, 0)
            if isinstance(error, KafkaError | OSError | TimeoutError):
                reason = f"no answer within {_START_SECONDS:g} s" if isinstance(error, TimeoutError) else said(error)
                raise Unavailable(f"Kafka at {self._connection.servers} begins no transactions: {reason}") from None
            raise

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """See the interface. One at a time: a second waits for the first."""
        async with self._transactions:
            await self.step(self._producer.begin_transaction, "begun")
            transaction = KafkaTransaction(self, self._producer, self._catalogue, self._clock)
            try:
                yield transaction
                self.raise_if_over()
            except BaseException:
                await self._abort()
                raise
            await self.step(self._producer.commit_transaction, "committed")

    async def close(self) -> None:
        """See the interface. Returns within seconds; what could not be aborted Kafka aborts after a minute."""
        self._over = self._over or Unavailable(f"{self._id} is closed")
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await stop_within(producer, _STOP_SECONDS)

    def raise_if_over(self) -> None:
        """Raise what ended this owner."""
        if self._over is not None:
            raise type(self._over)(*self._over.args)

    async def step(self, step: Callable[[], Awaitable[object]], done: str) -> None:
        """Take one step of a transaction. When it fails this owner is over: an error of ours is raised, now and ever after.

        `done` completes "the transaction could not be …".
        """
        self.raise_if_over()
        try:
            async with asyncio.timeout(_STEP_SECONDS):
                await step()
        except asyncio.CancelledError:
            self._over = NotAcknowledged(f"{self._id}: given up before the transaction was {done}")
            raise
        except TimeoutError:
            self._over = NotAcknowledged(f"{self._id}: the transaction was not {done} within {_STEP_SECONDS:g} s")
        except _FAILED as error:
            self._over = self._ours(error)
        self.raise_if_over()

    def _ours(self, error: Exception) -> BrokerError:
        if isinstance(error, KafkaError) and not isinstance(error, _FENCED) and meaning(error) is not Meaning.LOST:
            return as_ours(error, self._id)
        return Fenced(f"{self._id} has a newer owner, or a transaction took too long: {said(error)}")

    async def _abort(self) -> None:
        if self._over is None:
            with contextlib.suppress(BrokerError):  # its user's own error matters more; Kafka aborts it after a minute
                await self.step(self._producer.abort_transaction, "aborted")


class KafkaTransaction(Transaction):
    """See `broker.interface.Transaction`."""

    def __init__(self, owner: KafkaTransactionalPublisher, producer: Any, catalogue: Catalogue, clock: Clock) -> None:
        self._owner = owner
        self._producer = producer
        self._catalogue = catalogue
        self._clock = clock
        self._order: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        """See the interface: returns when Kafka has the messages. Raises RecordTooLarge, UnknownTopic, Unavailable before anything is
        handed over; Fenced, NotAcknowledged.
        """
        self._owner.raise_if_over()
        facts = await self._catalogue.load(topic)
        if partition >= facts.partitions:
            raise UnknownTopic(f"topic {topic} has no partition {partition}")
        largest = max(map(record_bytes, messages), default=0)
        if largest > facts.max_message_bytes:
            raise RecordTooLarge(
                f"topic {topic} takes records of {facts.max_message_bytes} bytes, one here has {largest}"
            )

        async def hand_over() -> None:
            await self._producer.partitions_for(topic)
            at = 0
            outcomes = []
            while at < len(messages):
                hold = Hold(self._producer, facts.max_message_bytes, int(self._clock.now() * 1000))
                at = hold.load(messages, at)
                outcomes.append(await self._producer.send_batch(hold.batch, topic, partition=partition))
            await asyncio.gather(*outcomes)

        # Calls for one partition take turns, each until it is acknowledged: that is what keeps their order.
        async with self._order[topic, partition]:
            await self._owner.step(hand_over, "acknowledged")
