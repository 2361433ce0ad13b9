"""The log that the rooms share: what a broker promises, whichever implementation keeps it.

Errors::

    BrokerError
    ├── Unavailable            the broker cannot be asked now; nothing was done; try again
    │   └── Full               too much is waiting for an acknowledgement already; nothing was taken
    │       └── SpoolFull      too much is spooled already
    ├── NotAcknowledged        no acknowledgement in time: in doubt, the records may still appear
    ├── RecordTooLarge         permanent: larger than the topic takes; nothing was taken
    ├── UnknownTopic           permanent until the topic is created
    └── Fenced                 another owner took over: the group's member, the partition or the transactional id

Two implementations keep these promises, `broker.embedded` and `broker.kafka`; one contract suite (tests/broker) holds both to them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from runtime.errors import OperatorError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import Self

    from schemas.topics import TopicSpec

Headers: TypeAlias = "Sequence[tuple[str, bytes]]"
Message: TypeAlias = "tuple[bytes | None, bytes | None, Headers]"
"""What is published: key, value (None: a tombstone), headers. A plain tuple: the hot path makes 100,000s of them a second."""


class BrokerError(OperatorError):
    """The root of what a broker raises. Whoever does not handle it shows an operator its text."""


class Unavailable(BrokerError):
    """The broker cannot be asked now; nothing was done."""


class Full(Unavailable):
    """More is waiting for an acknowledgement than may wait; nothing was taken."""


class SpoolFull(Full):
    """As much is spooled as may be; nothing was taken."""


class NotAcknowledged(BrokerError):
    """No acknowledgement in time: the records are in doubt and may still appear."""


class RecordTooLarge(BrokerError):
    """A record is larger than its topic takes; nothing of the call was taken."""


class UnknownTopic(BrokerError):
    """The topic does not exist."""


class Fenced(BrokerError):
    """Somebody else owns this now."""


class TopicPartition(NamedTuple):
    """One partition of one topic. Equal and hash-equal to a plain tuple, and so to aiokafka's own."""

    topic: str
    partition: int


class Record(Protocol):
    """A record as read. Each log makes its own, once: no copy is made on the hot path."""

    @property
    def topic(self) -> str:
        """Where it stands."""

    @property
    def partition(self) -> int:
        """Where it stands."""

    @property
    def offset(self) -> int:
        """Where it stands."""

    @property
    def timestamp(self) -> int:
        """When the log took it (event topics) or it was made; milliseconds since the epoch, UTC."""

    @property
    def key(self) -> bytes | None:
        """What keeps order and partition, or None."""

    @property
    def value(self) -> bytes | None:
        """The data; None is a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """The attributes, in the order they were given."""


class Commit(NamedTuple):
    """A group's place in a partition: the next offset to read, and what its reader wrote beside it (at most 4,000 bytes)."""

    offset: int
    metadata: str


class LogRange(NamedTuple):
    """The offsets a partition holds: start is the first that is kept, end the one that the next record will get."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """A partition that this member now owns. `out_of_range` tells that the committed offset is no longer (or not yet) in the
    log: such a partition is owned but never polled; its owner raises the alarm. Without a commit reading begins at the log's start.
    """

    partition: TopicPartition
    position: int
    commit: Commit | None
    log: LogRange
    out_of_range: bool = False


@dataclass(frozen=True, slots=True)
class TopicDifference:
    """How a topic that exists differs from its specification; `missing` when it does not exist and was not to be created."""

    topic: str
    setting: str
    wanted: str
    found: str

    def __str__(self) -> str:
        """One line for an operator."""
        return f"topic {self.topic}: {self.setting} is {self.found}, the configuration says {self.wanted}"


class RebalanceListener(ABC):
    """Told by a Subscription what it owns. Called one at a time, from the task that polls; an exception out of either comes out
    of that `poll`.
    """

    @abstractmethod
    async def assigned(self, assignments: Sequence[Assignment]) -> None:
        """Take note that these are owned from now on. Called before the first record of any of them is returned."""

    @abstractmethod
    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Finish or abandon the work on these, which are about to go to others, and commit what is finished. It has the
        group's rebalance timeout (20 s) at most. Where ownership was lost without notice, the commit raises Fenced.
        """


class Subscription(ABC):
    """One member of a consumer group. Life: `Broker.subscribe` → `poll` again and again → `close`.

    Poll at least every few seconds, even with nothing wanted (`partitions=()`): that is what keeps the member in its group.
    """

    @property
    @abstractmethod
    def assignment(self) -> frozenset[TopicPartition]:
        """What this member owns now."""

    @abstractmethod
    async def poll(
        self,
        timeout: float,  # noqa: ASYNC109  # how long to wait for records; running out is no error
        partitions: Collection[TopicPartition] | None = None,
        max_records: int = 10_000,
    ) -> Mapping[TopicPartition, Sequence[Record]]:
        """Wait up to `timeout` seconds for records of `partitions` (None: of all that are owned), and return what is there, in
        offset order per partition, as soon as anything is. Records of other partitions stay where they are: nothing is lost or
        thrown away by not asking for it. Partitions not owned (any more) are ignored. Raises Unavailable, and whatever the listener raised.
        """

    @abstractmethod
    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        """Write the places durably. Raises Fenced when one of the partitions is not owned (nothing is then written for it), Unavailable
        when the broker cannot be reached in time (then it is in doubt; a later commit covers it).
        """

    @abstractmethod
    def held_until(self) -> float:
        """Until when (the clock's monotonic seconds) what the listener was told is surely nobody else's, even if nothing more is heard of
        the group; a time that is past: it may be another's by now, or this member has left. Heartbeats move it on, whether somebody polls
        or not. For effects that the broker cannot fence. Does not wait.
        """

    @abstractmethod
    async def close(self) -> None:
        """Call `revoked` for what is owned, leave the group, free everything. Idempotent, returns within seconds even without a
        broker.
        """


class Stranded(NamedTuple):
    """What is left of one `publish`: the messages that nobody acknowledged (some may have been written), and its caller's future."""

    messages: Sequence[Message]
    future: asyncio.Future[None]


class Relief(Protocol):
    """Takes from a publisher what its broker does not acknowledge. From then on the futures are its to answer."""

    def relieve(self, topic: str, partition: int, stranded: Sequence[Stranded], reason: str) -> None:
        """Take over calls for one partition, in their order; never waits. `reason`: an operator's words."""


class Publisher(ABC):
    """Publishes with durable acknowledgement. Life: `Broker.publisher` → `publish` … → `close`."""

    @abstractmethod
    def publish(
        self, topic: str, partition: int, messages: Sequence[Message], *, precious: bool = False
    ) -> asyncio.Future[None]:
        """Hand over messages for one partition; never waits. The future is done when *all* are on stable storage (Kafka: acks=all;
        embedded: fsynced). Records stand in the partition in the order of the calls and, in a call, of the sequence. `precious` ones
        may use the room that a spool keeps back for such.

        Raises at once, nothing taken: RecordTooLarge, Full, UnknownTopic. The future fails with NotAcknowledged after `ack_timeout`,
        with UnknownTopic, or with Unavailable (surely not written). What fails to be acknowledged is not retried by the publisher after
        it said so. One partition that fails or stalls holds up no other topic's.
        """

    @abstractmethod
    def fault(self) -> str | None:
        """Why acknowledgements do not come at present, in an operator's words; None while they do. For readiness."""

    @abstractmethod
    async def close(self, timeout: float = 10) -> None:  # noqa: ASYNC109  # what it runs out of is patience, which is no error
        """Wait up to `timeout` s for what is pending to be acknowledged; the rest fails with NotAcknowledged. Idempotent."""


class Transaction(ABC):
    """An open transaction."""

    @abstractmethod
    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        """Add messages; they are visible to no reader before the transaction ends."""


class TransactionalPublisher(ABC):
    """The one owner of a transactional id: starting it fenced the owner before."""

    @abstractmethod
    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """`async with publisher.transaction() as transaction`: leaving it commits (durable when it returns), an exception aborts.
        Raises Fenced when there is a newer owner: close this one and look at ownership again.
        """

    @abstractmethod
    async def close(self) -> None:
        """Aborts what is open. Idempotent."""


class Broker(ABC):
    """The log. Life: `broker.factory.open_broker` → `start` → … → `close`; or `async with`."""

    @abstractmethod
    async def start(self) -> None:
        """Connect. Raises Unavailable with what is wrong in an operator's words."""

    @abstractmethod
    async def close(self) -> None:
        """Free everything that this broker opened and its user did not close. Idempotent."""

    @abstractmethod
    async def ensure_topics(self, specs: Sequence[TopicSpec], *, create: bool = True) -> list[TopicDifference]:
        """Create what is missing (with `create`), change nothing that exists, return every difference: partition count, retention,
        cleanup policy, size limit; `missing` (found: "missing") for topics that were not created. Waits until created topics can be used.
        Safe when several processes do it at once.
        """

    @abstractmethod
    async def identity(self) -> str:
        """Return what tells this log from every other, wherever it is reached: Kafka's cluster id, the embedded log's directory. Raises
        Unavailable.
        """

    @abstractmethod
    async def partitions(self, topic: str) -> int:
        """How many partitions the topic has. Raises UnknownTopic."""

    @abstractmethod
    async def publisher(
        self, *, ack_timeout: float = 10, max_pending_bytes: int = 64 * 1024 * 1024, relief: Relief | None = None
    ) -> Publisher:
        """Return a started publisher. `ack_timeout`: seconds until an unacknowledged call fails; `max_pending_bytes`: how much may wait
        before `Full`. `relief` takes over, a few seconds before they would fail, the calls for a partition that is not acknowledged or
        that refuses records; the embedded log, which has but one disk to write to, has no use for it.
        """

    @abstractmethod
    async def transactional(self, transactional_id: str) -> TransactionalPublisher:
        """Start the owner of `transactional_id`; an earlier one, in any process, is fenced from now on."""

    @abstractmethod
    async def subscribe(
        self, group: str, topics: Sequence[str], listener: RebalanceListener, *, instance: str | None = None
    ) -> Subscription:
        """Join `group` on exactly these topics. Every partition is owned by at most one member of the group at a time.

        A member with an `instance` keeps its partitions, unread, for 45 s after it closed or died: who joins under that name
        within them takes them over, and no other member notices. Two that run under one name oust each other again and again. The
        embedded log, which learns at once that a member is gone and hands over in milliseconds, has no use for it.
        """

    @abstractmethod
    def read(
        self,
        topic: str,
        *,
        partition: int | None = None,
        start: int = 0,
        from_beginning: bool = True,
        follow: bool = False,
    ) -> AsyncIterator[Record]:
        """Read outside of any group, only what is committed: from the beginning or from the present end; up to the end as it is
        at the call, or for ever with `follow`. `start`: of each partition nothing that stands before that offset. Order is kept per
        partition. On a compacted topic this is how its state is read. Raises UnknownTopic, Unavailable. Use `contextlib.aclosing` when
        leaving early.
        """

    @abstractmethod
    async def log_ranges(self, topics: Collection[str]) -> Mapping[TopicPartition, LogRange]:
        """Return what every partition of these topics holds. Raises UnknownTopic."""

    @abstractmethod
    async def committed(self, group: str, topics: Collection[str]) -> Mapping[TopicPartition, Commit | None]:
        """Where the group stands in every partition of these topics; None without a commit. Raises UnknownTopic."""

    @abstractmethod
    async def members(self, group: str) -> int:
        """How many members a group has; one that died without leaving may count for its session. Raises Unavailable."""

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()
