"""Kafka alone: what aiokafka says, and what is made of what it does not say. No broker is needed for these."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaTimeoutError
from aiokafka.protocol.commit import OffsetFetchResponse_v3
from aiokafka.protocol.coordination import FindCoordinatorRequest
from structlog.testing import capture_logs

from broker.interface import Commit, NotAcknowledged, RecordTooLarge, TopicPartition, Unavailable, UnknownTopic
from broker.kafka.admin import Admin, Clients
from broker.kafka.client_log import ClientLog
from broker.kafka.connection import Connection
from broker.kafka.reader import Rest
from broker.kafka.refusals import as_ours
from runtime.clock import ManualClock, SystemClock
from runtime.settings import BrokerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.interface import BrokerError


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (errors.MessageSizeTooLargeError(), RecordTooLarge),
        (errors.UnknownTopicOrPartitionError(), UnknownTopic),
        (errors.TopicAuthorizationFailedError("t"), Unavailable),
        # INVALID_RECORD or a fault of the broker: aiokafka has one error for both, so nothing is claimed.
        (errors.UnknownError(), NotAcknowledged),
        (errors.LeaderNotAvailableError(), NotAcknowledged),
        (errors.OutOfOrderSequenceNumber(), NotAcknowledged),
        (errors.ProducerClosed(), NotAcknowledged),
    ],
)
def test_only_what_surely_was_not_written_is_said_not_to_be(theirs: Exception, ours: type[BrokerError]) -> None:
    said = as_ours(theirs, "topic t, partition 0")
    assert type(said) is ours
    assert str(said).startswith("topic t, partition 0: ")


def test_what_aiokafka_repeats_is_one_line_in_half_a_minute() -> None:
    clock = ManualClock()
    theirs = logging.getLogger("aiokafka.client")
    with capture_logs() as lines:
        log = ClientLog(structlog.get_logger(), clock)
        log.attach()
        for n in range(100):
            theirs.error("Unable connect to node with id %s: %s", 1, n)
        theirs.warning("something else")
        clock._now += 31
        theirs.error("Unable connect to node with id %s: %s", 1, "still")
        log.detach()
        theirs.setLevel(logging.CRITICAL)
        theirs.error("after the end")
        theirs.setLevel(logging.NOTSET)
    assert [(line["says"], line["said_before"]) for line in lines] == [
        ("Unable connect to node with id 1: 0", 0),
        ("something else", 0),
        ("Unable connect to node with id 1: still", 99),
    ]
    assert logging.getLogger("aiokafka").propagate


class EmptyTail:
    """A consumer of a partition whose last offsets hold nothing any more: it answers, and never comes to the end."""

    def __init__(self, clock: ManualClock, *, silent: bool) -> None:
        self._clock = clock
        self._answers: Iterator[int] = itertools.repeat(0) if silent else itertools.count()
        self.rounds = 0

    def pause(self, *_: object) -> None:
        raise AssertionError("it is not at its end")

    async def getmany(self, *, timeout_ms: int) -> dict[Any, Any]:
        self.rounds += 1
        self._clock._now += timeout_ms / 1000
        await asyncio.sleep(0)
        return {}

    async def position(self, _: object) -> int:
        await asyncio.sleep(0)
        return 60

    def last_poll_timestamp(self, _: object) -> int:
        return next(self._answers)


async def test_an_end_that_cannot_be_reached_is_known_by_empty_answers() -> None:
    clock = ManualClock()
    consumer = EmptyTail(clock, silent=False)
    assert [record async for record in Rest(consumer, clock, {("t", 0): (0, 100)}).records()] == []
    assert consumer.rounds == 3


async def test_silence_is_not_taken_for_the_end() -> None:
    clock = ManualClock()
    rest = Rest(EmptyTail(clock, silent=True), clock, {("t", 0): (0, 100)})
    with pytest.raises(KafkaTimeoutError, match="nothing was heard for"):
        _ = [record async for record in rest.records()]


async def test_a_coordinator_that_has_not_read_its_offsets_yet_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log would else be read from its beginning, and counted anew."""
    loading = OffsetFetchResponse_v3(0, [], errors.GroupLoadInProgressError.errno)
    loaded = OffsetFetchResponse_v3(0, [("t", [(0, 7, "tally", 0), (1, -1, "", 0)])], 0)
    answers = [loading, loading, loaded, loading]

    async def coordinator(self: AIOKafkaAdminClient, group: str) -> int:
        del self, group
        return 1

    async def answer(self: AIOKafkaAdminClient, request: object, node: int) -> Any:
        del self, request, node
        return answers.pop(0) if len(answers) > 1 else answers[0]

    monkeypatch.setattr(AIOKafkaAdminClient, "find_coordinator", coordinator)
    monkeypatch.setattr(AIOKafkaAdminClient, "_send_request", answer)
    admin = Admin(Connection(BrokerSettings(kind="kafka")), SystemClock())
    theirs = AIOKafkaAdminClient.__new__(AIOKafkaAdminClient)
    monkeypatch.setattr(admin, "_clients", Clients(theirs, theirs))
    partitions = [TopicPartition("t", 0), TopicPartition("t", 1)]
    assert await admin.committed("g", partitions) == {partitions[0]: Commit(7, "tally"), partitions[1]: None}
    monkeypatch.setattr("broker.kafka.admin.ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(admin, "close", nothing)
    with pytest.raises(Unavailable, match=r"cannot tell where group g stands: .*says nothing of its offsets"):
        await admin.committed("g", partitions)


class ClosedTransport:
    """What uvloop's is to whoever writes to it before the end of the connection was noticed."""

    def write(self, _data: bytes) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    def close(self) -> None:
        """Nothing is open."""


async def test_a_request_on_a_connection_that_was_just_closed_is_a_failure_of_kafkas() -> None:
    await Connection(BrokerSettings(kind="kafka")).prepare()
    connection: Any = AIOKafkaConnection("127.0.0.1", 9092)
    connection._versions = {FindCoordinatorRequest.API_KEY: (0, 1)}
    connection._writer = connection._reader = ClosedTransport()
    connection._read_task = asyncio.get_running_loop().create_future()
    with pytest.raises(errors.KafkaConnectionError, match=r"127\.0\.0\.1:9092 closed: .*the handler is closed"):
        connection.send(FindCoordinatorRequest("g", 0))
    with pytest.raises(errors.KafkaConnectionError, match="No connection"):
        connection.send(FindCoordinatorRequest("g", 0))


async def nothing() -> None:
    """Stand for closing what was never opened."""
