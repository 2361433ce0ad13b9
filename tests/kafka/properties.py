"""What a node is told: server.properties, for one node or for several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Small and quick, but flushed, replicated and elected as Kafka itself would have it.
COMMON: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # A topic that appears by itself would hide that nobody ensured it.
    "auto.create.topics.enable": "false",
    # A killed node is taken back as soon as it is up again, not after the default 9 s (and 17 s seen).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1000",
    "controller.quorum.election.backoff.max.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.num.partitions": "3",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.recovery.threads.per.data.dir": "2",
    "background.threads": "2",
    # The cleaner takes 128 MB of heap by default; it looks for work every second, so that compaction can be tested.
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.cleaner.backoff.ms": "1000",
    "log.initial.task.delay.ms": "1000",
    "log.index.size.max.bytes": "1048576",
    # Above every topic's own limit (4 MiB), with room for several of them.
    "replica.fetch.max.bytes": "8388608",
}


@dataclass(frozen=True, slots=True)
class NodePlace:
    """Where a node lives: its id (from 1), its two ports, its directory, and listeners beside the plain one, as
    `NAME://127.0.0.1:port`.
    """

    node_id: int
    port: int
    controller_port: int
    directory: Path
    listeners: tuple[str, ...] = ()


def server_properties(place: NodePlace, places: Sequence[NodePlace], extra: Mapping[str, str]) -> str:
    """Return the server.properties of `place` in a cluster of `places`; `extra` overrides what stands here."""
    replicas = min(3, len(places))
    open_to_clients = ",".join((f"PLAINTEXT://127.0.0.1:{place.port}", *place.listeners))
    settings = {
        **COMMON,
        "node.id": str(place.node_id),
        "log.dirs": str(place.directory / "data"),
        "listeners": f"{open_to_clients},CONTROLLER://127.0.0.1:{place.controller_port}",
        "advertised.listeners": open_to_clients,
        "controller.quorum.voters": ",".join(f"{one.node_id}@127.0.0.1:{one.controller_port}" for one in places),
        "default.replication.factor": str(replicas),
        "offsets.topic.replication.factor": str(replicas),
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.min.isr": str(max(1, replicas - 1)),
        "share.coordinator.state.topic.replication.factor": str(replicas),
        "share.coordinator.state.topic.min.isr": str(max(1, replicas - 1)),
        **extra,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
