"""What must be known of aiokafka's clients, or done to them, and what they do not offer (0.14). With `teardown` the only
place that looks into their private parts.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import zstandard
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaConnectionError,
    KafkaError,
    NoError,
    RebalanceInProgressError,
)
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest, SyncGroupRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

# ruff: noqa: SLF001 - see the module's docstring

_METADATA_SECONDS = 0.1

_SAID_TO_MEMBERS: Final[Mapping[type, Collection[int]]] = {
    SyncGroupRequest: (NoError.errno,),
    HeartbeatRequest: (NoError.errno, RebalanceInProgressError.errno),
}

_Client = TypeVar("_Client")


class _Zstd(threading.local):
    """A context serves one thread. Against Kafka's default level, 3, this one takes half the time for a small batch and two thirds for a
    large one; what comes out is a sixth longer, a tenth of what went in.
    """

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=-1)
        self.decompressor = zstandard.ZstdDecompressor()


def with_lasting_zstd() -> None:
    """Have aiokafka use zstd contexts that last. It makes one for each batch: to compress takes 20 µs then where the work of a small
    batch takes 4, to decompress more than twice as long.
    """
    zstd = _Zstd()

    def encode(payload: bytes) -> bytes:
        return zstd.compressor.compress(payload)

    def decode(payload: bytes) -> bytes:
        if zstandard.frame_content_size(payload) >= 0:
            return zstd.decompressor.decompress(payload)
        # Java's producers do not say how long a frame becomes.
        return zstd.decompressor.decompressobj().decompress(payload)

    module: Any = sys.modules[DefaultRecordBatchBuilder.__module__]
    module.zstd_encode = encode
    module.zstd_decode = decode


_send: Final[Callable[..., Any]] = AIOKafkaConnection.send


def with_closed_connections_told() -> None:
    """Have aiokafka take a request on a connection that was just closed for one on a broken connection, and try again. It expects an
    OSError there; uvloop raises RuntimeError, which would pass through everything as a fault of our own.
    """
    AIOKafkaConnection.send = _send_if_open


def _send_if_open(connection: Any, request: Any, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002 - aiokafka's
    try:
        return _send(connection, request, expect_response)
    except KafkaError:  # a RuntimeError too
        raise
    except RuntimeError as error:
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {connection.host}:{connection.port} closed: {error}") from error


def paced(client: _Client) -> _Client:
    """Return a producer, consumer or admin client that asks for metadata at most ten times a second.

    While a partition has no leader, or no broker can be connected to, aiokafka asks again without a pause: a core of ours
    for nothing, and thousands of requests a second to a cluster that is recovering.
    """
    network: Any = _network(client)
    update = network._metadata_update
    last = float("-inf")

    async def update_paced(*arguments: Any) -> Any:
        nonlocal last
        await asyncio.sleep(max(0.0, last + _METADATA_SECONDS - time.monotonic()))
        last = time.monotonic()
        return await update(*arguments)

    network._metadata_update = update_paced
    return client


def _network(client: Any) -> Any:
    return client.client if hasattr(client, "client") else client._client


def mortal(producer: _Client) -> _Client:
    """Return a producer without transactions whose own task can fail in good order: aiokafka then means to fail a transaction's
    waiter that such a producer has not got, and breaks off half-way.
    """
    manager: Any = producer._txn_manager  # type: ignore[attr-defined]  # AIOKafkaProducer's own
    manager._transaction_waiter = asyncio.get_running_loop().create_future()
    return producer


def data_waiter(consumer: Any) -> asyncio.Future[None]:
    """Return a future that is done when records arrived, or fails when the group's coordination does. Cancel it when done with.

    Waiting for it can be given up at any time. Waiting in `getmany` cannot: cancelled, it takes the consumer for busy for
    ever; and during a rebalance it ignores its timeout.
    """
    waiter: asyncio.Future[None] = consumer._fetcher._create_fetch_waiter()
    return waiter


def raise_group_errors(consumer: Any) -> None:
    """Raise what the group's coordinator refused, as `getmany` would."""
    consumer._coordinator.check_errors()


def is_member(consumer: Any) -> bool:
    """Whether the consumer is in a generation of its group. Where it is not, having been thrown out unnoticed, aiokafka would
    commit as if it had no group, and Kafka would take that of an empty group.
    """
    return bool(consumer._coordinator.generation > 0)


def with_members_commits_only(consumer: Any) -> None:
    """Have a consumer, not subscribed yet, refuse a commit that it would send as none of its group. aiokafka tries one again after it was
    thrown out meanwhile, and Kafka takes it when the other members are gone too, back behind what they had committed.
    """
    coordinator = consumer._coordinator
    send = coordinator._send_req

    async def send_as_member(request: Any) -> Any:
        if isinstance(request, OffsetCommitRequest) and request._consumer_group_generation_id < 1:
            raise IllegalGenerationError(coordinator.group_id)
        return await send(request)

    coordinator._send_req = send_as_member


def last_heard(consumer: Any, now: Callable[[], float]) -> Callable[[], float]:
    """Return what tells when, by `now`, the latest request was sent that the group answered in a way that only a member is answered;
    minus infinity without one, and from the moment on in which it is asked to let this member go. For a consumer that is started and
    not subscribed yet.
    """
    coordinator = consumer._coordinator
    send = coordinator._send_req
    heard = float("-inf")

    async def send_and_note(request: Any) -> Any:
        nonlocal heard
        sent = now()
        if isinstance(request, LeaveGroupRequest):
            heard = float("-inf")
        response = await send(request)
        said_to_members = _SAID_TO_MEMBERS.get(type(request))
        # A commit's response, for one, has no code of its own but one for each partition.
        if said_to_members is not None and response.error_code in said_to_members:
            heard = max(heard, sent)
        return response

    coordinator._send_req = send_and_note
    return lambda: heard


def ended(consumer: Any) -> str | None:
    """Return why the consumer will never return records again: a task of it died. None when all is well."""
    for task in (
        consumer._fetcher.error_future,
        consumer._coordinator._coordination_task,
        # Whoever waits for metadata without it waits for ever: the group, when this member is its leader.
        consumer._client._sync_task,
    ):
        if task.done():
            error = None if task.cancelled() else task.exception()
            return repr(error)
    return None
