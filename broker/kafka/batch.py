"""A batch of aiokafka's, filled in its compiled part at once, and open until the very moment in which it is numbered (0.14)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import calc_crc32c

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.interface import Message

# ruff: noqa: SLF001 - see the module's docstring

# Of a record batch of Kafka's format 2.
_CHECKSUM: Final = struct.Struct(">I")
_CHECKSUM_AT: Final = 17
_CHECKED_FROM: Final = 21
_PRODUCER: Final = struct.Struct(">qhi")
_PRODUCER_AT: Final = 43


class OpenBatch(BatchBuilder):  # type: ignore[misc] # aiokafka's are untyped
    """A batch that may still be filled when it was handed to its producer, while that one's connection is busy with another.

    An idempotent producer counts a batch's records when it takes it up, and from then on there must not be one more.
    """

    _buffer: bytearray | None
    _builder: Any
    _closed: bool
    _relative_offset: int

    def fill(self, messages: Sequence[Message], timestamp: int) -> int:
        """Take messages, stamped with milliseconds since the epoch, as long as there is room; return how many were taken."""
        if self._closed:
            return 0
        append = self._builder.append
        first = place = self._relative_offset
        for key, value, headers in messages:
            if append(place, timestamp, key, value, headers if type(headers) is list else list(headers)) is None:
                self._closed = True
                break
            place += 1
        self._relative_offset = place
        return place - first

    def messages(self) -> list[Message]:
        """Return what it holds, in its order, read from its own bytes. From then on it takes no more."""
        return [(record.key, record.value, record.headers) for record in DefaultRecordBatch(bytes(self._build()))]

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self.close()
        if self._buffer is None:
            super()._set_producer_state(producer_id, producer_epoch, base_sequence)
            return
        # It was built when it was read.
        _PRODUCER.pack_into(self._buffer, _PRODUCER_AT, producer_id, producer_epoch, base_sequence)
        _CHECKSUM.pack_into(self._buffer, _CHECKSUM_AT, calc_crc32c(memoryview(self._buffer)[_CHECKED_FROM:]))


def open_batch(producer: Any) -> OpenBatch:
    """Return an empty batch for an AIOKafkaProducer, as its `create_batch` would."""
    accumulator = producer._message_accumulator
    manager = producer._txn_manager
    transactional = manager is not None and manager.transactional_id is not None
    return OpenBatch(accumulator._batch_size, accumulator._compression_type, is_transactional=transactional)
