"""What the ingestion API refuses for good: records of the dead-letter topic (RECORDS §1)."""

from __future__ import annotations

from enum import StrEnum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

from broker.interface import BrokerError
from schemas.topics import DEAD_LETTERS, partition_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Message, Publisher, Record
    from runtime.backoff import Backoff
    from runtime.clock import Clock


class Reason(StrEnum):
    """Why a record stands in the dead-letter topic: its header `reason`."""

    REFUSED_BY_NAME = auto()
    """The API took the batch and named this event in `errors`."""
    REFUSED_ALONE = auto()
    """Sent alone, the event was answered with 400."""
    TOO_LARGE = auto()
    """Sent alone, the event was answered with 413."""
    BLOCKED = auto()
    """Sent alone, again and again, the event was refused by something before the API, such as a firewall, that let others pass."""
    NO_VALUE = auto()
    """The record holds no event at all; it was never sent."""
    USER_DELETED = auto()
    """It was replayed, and meanwhile its user deleted: it was not sent again. Its value is left out, and it counts as settled."""


class DeadLetter(NamedTuple):
    """A record that is given up. `error`: the API's words; `attempts`: in how many requests it was sent."""

    record: Record
    reason: Reason
    error: str
    attempts: int


ADDED: Final = frozenset(
    {"storefront", "reason", "error", "original_topic", "original_partition", "original_offset", "attempts"}
)
"""The headers that a dead letter has beside the event's own."""


class DeadLetters:
    """Writes dead letters. `partitions` is the topic's own count, pinned when the process starts."""

    def __init__(
        self, publisher: Publisher, partitions: int, backoff: Backoff, clock: Clock, log: FilteringBoundLogger
    ) -> None:
        self._publisher = publisher
        self._partitions = partitions
        self._backoff = backoff
        self._clock = clock
        self._log = log

    async def publish(self, storefront: str, letters: Sequence[DeadLetter]) -> None:
        """Publish, and return once all are on stable storage.

        What is not acknowledged is published again for ever, and may then stand there twice. Waits as long as
        that takes; may be cancelled.
        """
        waiting: dict[int, list[Message]] = {}
        for letter in letters:
            waiting.setdefault(self.partition(letter.record), []).append(message(storefront, letter))
        await self.write(storefront, waiting)

    async def write(self, storefront: str, waiting: dict[int, list[Message]]) -> None:
        """Publish messages, by partition, as `publish` does; `waiting` is emptied."""
        failures = 0
        while waiting:
            futures = {}
            problem: BrokerError | None = None
            for partition, messages in waiting.items():
                try:
                    futures[partition] = self._publisher.publish(DEAD_LETTERS, partition, messages)
                except BrokerError as error:
                    problem = error
            for partition, future in futures.items():
                try:
                    await future
                except BrokerError as error:
                    problem = error
                else:
                    del waiting[partition]
            if problem is not None:
                failures += 1
                self._log.warning(
                    "dead letters not acknowledged", storefront=storefront, error=str(problem), failures=failures
                )
                await self._clock.sleep(self._backoff.delay(failures))

    def has(self, partition: int) -> bool:
        """Say whether the topic has a partition of that number."""
        return partition < self._partitions

    def partition(self, record: Record) -> int:
        """Return where the letter of a record stands: with others of its key."""
        if record.key is None:
            return record.offset % self._partitions
        return partition_of(record.key, self._partitions)


def message(storefront: str, letter: DeadLetter) -> Message:
    """Return a dead letter as it stands in the topic: as the record was (no value of a user who is gone), and what became of it."""
    record = letter.record
    headers = [header for header in record.headers if header[0] not in ADDED]
    headers += [
        ("storefront", storefront.encode()),
        ("reason", letter.reason.encode()),
        ("error", letter.error.encode(errors="replace")),
        ("original_topic", record.topic.encode()),
        ("original_partition", b"%d" % record.partition),
        ("original_offset", b"%d" % record.offset),
        ("attempts", b"%d" % letter.attempts),
    ]
    return record.key, b"" if letter.reason is Reason.USER_DELETED else record.value, headers
