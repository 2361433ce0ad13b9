"""Topics on Kafka: how a specification is written in Kafka's settings, creating what is missing, comparing what is there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka.admin import NewTopic
from aiokafka.errors import (
    InvalidReplicationFactorError,
    NotControllerError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    for_code,
)

from broker.interface import TopicDifference, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from broker.kafka.admin import Admin, Clients, PartitionState
    from broker.kafka.catalogue import Catalogue
    from runtime.clock import Clock
    from runtime.settings import BrokerSettings
    from schemas.topics import TopicSpec

MISSING = "missing"

_USABLE_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 0.05
_CREATE_MS = 10_000
_SAFE_REPLICAS = 3
_TRY_AGAIN = (NotControllerError, RequestTimedOutError)


def in_kafkas_words(spec: TopicSpec, replication_factor: int) -> dict[str, str]:
    """Return the settings that a topic is created with."""
    retention = "retention.ms" if spec.cleanup == "delete" else "delete.retention.ms"
    return {
        "cleanup.policy": spec.cleanup,
        retention: str(spec.retention_ms),
        "max.message.bytes": str(spec.max_message_bytes),
        "message.timestamp.type": "LogAppendTime" if spec.log_append_time else "CreateTime",
        "min.insync.replicas": "2" if replication_factor >= _SAFE_REPLICAS else "1",
        "unclean.leader.election.enable": "false",
    }


def differences(
    spec: TopicSpec, partitions: Sequence[PartitionState], settings: Mapping[str, str]
) -> list[TopicDifference]:
    """Return how a topic that exists differs from its specification, and from what makes an acknowledgement durable (G1)."""
    retention = "retention.ms" if spec.cleanup == "delete" else "delete.retention.ms"
    replicas = min(partition.replicas for partition in partitions)
    timestamps = "LogAppendTime" if spec.log_append_time else "CreateTime"
    compared = [
        ("partitions", str(spec.partitions), str(len(partitions))),
        ("cleanup", spec.cleanup, settings["cleanup.policy"]),
        ("retention_ms", str(spec.retention_ms), settings[retention]),
        ("max_message_bytes", str(spec.max_message_bytes), settings["max.message.bytes"]),
        ("message.timestamp.type", timestamps, settings["message.timestamp.type"]),
        ("unclean.leader.election.enable", "false", settings["unclean.leader.election.enable"]),
    ]
    if replicas >= _SAFE_REPLICAS and int(settings["min.insync.replicas"]) < _SAFE_REPLICAS - 1:
        compared.append(("min.insync.replicas", "2", settings["min.insync.replicas"]))
    return [TopicDifference(spec.name, name, wanted, found) for name, wanted, found in compared if wanted != found]


class Topics:
    """Makes sure of topics, changes none that exists, and tells the catalogue about them."""

    def __init__(self, admin: Admin, catalogue: Catalogue, settings: BrokerSettings, clock: Clock) -> None:
        self._admin = admin
        self._catalogue = catalogue
        self._replication_factor = settings.replication_factor
        self._clock = clock

    async def ensure(self, specs: Sequence[TopicSpec], *, create: bool) -> list[TopicDifference]:
        """See `Broker.ensure_topics`. Raises Unavailable when the cluster cannot be asked, or does not create what it was asked to."""
        present = await self._admin.topics()
        missing = [spec for spec in specs if spec.name not in present]
        if missing and create:
            await self._create(missing)
            present = await self._usable([spec.name for spec in missing])
        there = [spec for spec in specs if spec.name in present]
        settings = await self._admin.settings([spec.name for spec in there])
        found: list[TopicDifference] = []
        for spec in specs:
            if spec.name in present:
                self._catalogue.learn(spec.name, len(present[spec.name]), settings[spec.name])
                found += differences(spec, present[spec.name], settings[spec.name])
            else:
                found.append(TopicDifference(spec.name, "topic", "present", MISSING))
        return found

    async def _create(self, specs: Sequence[TopicSpec]) -> None:
        factor = self._replication_factor
        wanted = [
            NewTopic(spec.name, spec.partitions, factor, topic_configs=in_kafkas_words(spec, factor)) for spec in specs
        ]

        async def question(clients: Clients) -> Sequence[tuple[str, int, str | None]]:
            response = await clients.admin.create_topics(wanted, timeout_ms=_CREATE_MS)
            for _, code, message in response.topic_errors:
                if issubclass(for_code(code), _TRY_AGAIN):
                    raise for_code(code)(message)
            return [(topic, code, message) for topic, code, message in response.topic_errors if code]

        for topic, code, message in await self._admin.ask("how creating topics went", question):
            error = for_code(code)
            if error is TopicAlreadyExistsError:
                # Another process was faster; it is compared like any that exists.
                continue
            if error is InvalidReplicationFactorError:
                brokers = await self._admin.cluster_size()
                raise Unavailable(
                    f"topic {topic} cannot be created: broker.replication_factor is {factor}, the cluster has {brokers}"
                    f" broker{'s' if brokers > 1 else ''}; start more of them, or set broker.replication_factor = {brokers}"
                )
            # PolicyViolation, InvalidConfig, TopicAuthorizationFailed …: the broker's own words say most.
            raise Unavailable(f"topic {topic} cannot be created: {message or error.message}")

    async def _usable(self, topics: Sequence[str]) -> Mapping[str, Sequence[PartitionState]]:
        deadline = self._clock.monotonic() + _USABLE_SECONDS
        while True:
            present = await self._admin.topics()
            waiting = [
                topic
                for topic in topics
                if any(each.leader < 0 for each in present.get(topic, ())) or topic not in present
            ]
            if not waiting:
                return present
            if self._clock.monotonic() > deadline:
                raise Unavailable(
                    f"topics were created but have no leader after {_USABLE_SECONDS:g} s: {', '.join(waiting)}"
                )
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
