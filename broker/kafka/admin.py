"""Questions to the cluster: what topics there are, what they hold, where groups stand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import AuthenticationFailedError, GroupLoadInProgressError, KafkaError, for_code

from broker.interface import BrokerError, Commit, LogRange, TopicPartition, Unavailable, UnknownTopic
from broker.kafka.connection import REQUEST_TIMEOUT_MS
from broker.kafka.inside import paced
from broker.kafka.refusals import said
from broker.kafka.teardown import stop_within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from broker.kafka.connection import Connection
    from runtime.clock import Clock

ANSWER_SECONDS = 10.0
"""How long a question is asked again before it fails with Unavailable."""

_RETRY_SECONDS = 0.1
_STOP_SECONDS = 1.0
_HEARD_OF_SECONDS = 0.3

# What aiokafka's admin client raises while the cluster changes under it, beside its own errors: no controller known
# (AttributeError), a broker that left (KeyError, AssertionError).
_TRANSIENT = (KafkaError, OSError, AttributeError, KeyError, AssertionError)

_Answer = TypeVar("_Answer")


class PartitionState(NamedTuple):
    """A partition: its leader's id (-1: none at present) and how many replicas it has."""

    partition: int
    leader: int
    replicas: int


class Clients(NamedTuple):
    """The two connected clients that questions are asked through: only a consumer can ask for a log's ends."""

    admin: Any
    consumer: Any


class Admin:
    """Asks, again and again for ANSWER_SECONDS while the cluster cannot answer, then raises Unavailable. Life: `start` →
    questions, several at once if need be → `close`. Connects again by itself.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._clients: Clients | None = None
        self._connecting = asyncio.Lock()

    async def start(self) -> None:
        """Connect. Raises Unavailable with what is wrong. Does nothing when it is connected."""
        if self._clients is None:
            await self._connection.prepare()
            await self._connection.knock()
            await self.ask("whether Kafka is there", _nothing)

    async def close(self) -> None:
        """Disconnect. Idempotent, returns within seconds."""
        clients, self._clients = self._clients, None
        if clients is not None:
            for client in clients:
                await stop_within(client, _STOP_SECONDS)

    async def topics(self) -> Mapping[str, Sequence[PartitionState]]:
        """Return every topic there is, with its partitions in their order."""
        return await self.ask("which topics there are", _topics)

    async def find(self, topics: Collection[str]) -> dict[str, Sequence[PartitionState]]:
        """Return the partitions of each of `topics`. Raises UnknownTopic, after a moment: brokers hear of a new topic one after
        the other, and any of them may be asked.
        """
        sought = self._clock.monotonic()
        while True:
            present = await self.topics()
            missing = [topic for topic in topics if topic not in present]
            if not missing:
                return {topic: present[topic] for topic in topics}
            if self._clock.monotonic() - sought > _HEARD_OF_SECONDS:
                raise UnknownTopic(f"topic {missing[0]} does not exist")
            await asyncio.sleep(_RETRY_SECONDS)

    async def cluster_size(self) -> int:
        """Return how many brokers are alive."""

        async def question(clients: Clients) -> int:
            return len((await clients.admin.describe_cluster())["brokers"])

        return await self.ask("which brokers there are", question)

    async def cluster_id(self) -> str:
        """Return what the cluster was called when its disks were formatted."""

        async def question(clients: Clients) -> str:
            return str((await clients.admin.describe_cluster())["cluster_id"])

        return await self.ask("which cluster it is", question)

    async def settings(self, topics: Collection[str]) -> Mapping[str, Mapping[str, str]]:
        """Return every setting of every one of `topics`, which exist, defaults included."""

        async def question(clients: Clients) -> Mapping[str, Mapping[str, str]]:
            resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
            found: dict[str, Mapping[str, str]] = {}
            for response in await clients.admin.describe_configs(resources):
                for code, message, _, name, entries in response.resources:
                    if code:
                        # Also where a broker has not heard yet of a topic that another one told us of.
                        raise for_code(code)(message)
                    found[name] = {entry[0]: entry[1] or "" for entry in entries}
            return found

        return await self.ask("how topics are set", question) if topics else {}

    async def log_ranges(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, LogRange]:
        """Return what the partitions, which must exist, hold."""
        asked = [ClientPartition(*each) for each in partitions]

        async def question(clients: Clients) -> dict[TopicPartition, LogRange]:
            starts, ends = await asyncio.gather(
                clients.consumer.beginning_offsets(asked), clients.consumer.end_offsets(asked)
            )
            return {TopicPartition(*each): LogRange(starts[each], ends[each]) for each in asked}

        return await self.ask("what the logs hold", question) if asked else {}

    async def committed(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Commit | None]:
        """Return where `group` stands in the partitions, with what was written beside it."""
        asked = [ClientPartition(*each) for each in partitions]

        async def question(clients: Clients) -> dict[TopicPartition, Commit | None]:
            found = await clients.admin.list_consumer_group_offsets(group, partitions=asked)
            if not found.keys() >= set(asked):
                # What was never committed comes back as -1. Nothing comes back from a coordinator that has just taken the group over
                # and still reads its offsets, and aiokafka passes over the error beside it: "no commit" would mean "from the beginning".
                raise GroupLoadInProgressError("the group's coordinator says nothing of its offsets")
            places = [(TopicPartition(*each), found[each]) for each in asked]
            return {
                partition: Commit(place.offset, place.metadata or "") if place.offset >= 0 else None
                for partition, place in places
            }

        return await self.ask(f"where group {group} stands", question) if asked else {}

    async def members(self, group: str) -> int:
        """Return how many members `group` has; none where nobody ever joined it."""

        async def question(clients: Clients) -> int:
            ((code, _, _, _, _, members, *_),) = (await clients.admin.describe_consumer_groups([group]))[0].groups
            if code:
                raise for_code(code)(group)
            return len(members)

        return await self.ask(f"who is in group {group}", question)

    async def ask(self, what: str, question: Callable[[Clients], Awaitable[_Answer]]) -> _Answer:
        """Put a question until it is answered. `what` completes "Kafka at … cannot tell …". Raises Unavailable, and what
        the question raises of our own.
        """
        deadline = self._clock.monotonic() + ANSWER_SECONDS
        while True:
            left = deadline - self._clock.monotonic()
            try:
                async with asyncio.timeout(max(left, 0.01)):
                    return await question(await self._connected())
            except BrokerError:
                raise
            except TimeoutError:
                fault = f"no answer within {ANSWER_SECONDS:g} s"
            except _TRANSIENT as error:
                fault = said(error)
                if isinstance(error, AuthenticationFailedError):
                    left = 0
            if left <= _RETRY_SECONDS:
                # The next question looks for the cluster anew: all its brokers may have moved.
                await self.close()
                raise Unavailable(f"Kafka at {self._connection.servers} cannot tell {what}: {fault}")
            await asyncio.sleep(_RETRY_SECONDS)

    async def _connected(self) -> Clients:
        async with self._connecting:
            if self._clients is None:
                arguments = self._connection.arguments()
                admin = paced(AIOKafkaAdminClient(**arguments, request_timeout_ms=REQUEST_TIMEOUT_MS))
                consumer = AIOKafkaConsumer(
                    **arguments, request_timeout_ms=REQUEST_TIMEOUT_MS, enable_auto_commit=False
                )
                clients = Clients(admin, consumer)
                try:
                    await admin.start()
                    await consumer.start()
                except BaseException:
                    for client in clients:
                        await stop_within(client, _STOP_SECONDS)
                    raise
                self._clients = clients
            return self._clients


async def _nothing(_: Clients) -> None:
    """Being connected is the answer."""


async def _topics(clients: Clients) -> Mapping[str, Sequence[PartitionState]]:
    # All of them: asked for by name, a topic that is missing would be created where brokers are set to do so.
    found: dict[str, list[PartitionState]] = {}
    for topic in await clients.admin.describe_topics():
        if topic["error_code"] == 0:
            found[topic["topic"]] = sorted(
                PartitionState(each["partition"], each["leader"], len(each["replicas"])) for each in topic["partitions"]
            )
    return found
