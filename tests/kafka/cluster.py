"""A cluster of one or three nodes that tests may break."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kafka import jars
from tests.kafka.node import Node
from tests.kafka.ports import free_ports
from tests.kafka.properties import NodePlace, server_properties

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

_START_SECONDS = 60


def _data_directory(name: str) -> Path:
    """Make a directory for a cluster's data; delete those whose owners were killed before they could."""
    # Beside the project: the system's place for temporary files may be memory, where fsync means nothing.
    place = jars.CACHE / "data"
    place.mkdir(parents=True, exist_ok=True)
    for old in place.iterdir():
        owner = old.name.split("-")[0]
        if owner.isdecimal() and not _alive(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-{name}-", dir=place))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class KafkaCluster:
    """A real Kafka on loopback: `nodes` brokers, each its own controller, on a data directory that `stop` deletes.

    Life: `start` → `pause`, `resume`, `kill`, `restart` as often as wanted → `stop`; or `with KafkaCluster() as
    kafka`. Nodes are counted from 0. Every method waits for what it does, up to a minute, and blocks its thread:
    inside a test that is a coroutine call it with `asyncio.to_thread`. Failures raise RuntimeError with the end of
    the node's log; without Java or Maven `start` raises `jars.KafkaMissingError`. However the process that made it
    ends, its JVMs end too.
    """

    def __init__(
        self,
        nodes: int = 1,
        *,
        port: int | None = None,
        heap_mb: int = 384,
        extra: Mapping[str, str] | None = None,
        listeners: Sequence[str] = (),
        name: str = "kafka",
    ) -> None:
        self._count = nodes
        self._port = port
        self._heap_mb = heap_mb
        self._extra = extra or {}
        self._listeners = tuple(listeners)
        self._name = name
        self._directory: Path | None = None
        self._nodes: list[Node] = []
        self.logs = (
            jars.CACHE / "logs" / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        )
        """A directory with one log per node; kept until `discard_logs`."""

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect, as aiokafka takes it; the same for the cluster's whole life."""
        return ",".join(f"127.0.0.1:{node.place.port}" for node in self._nodes)

    @property
    def pids(self) -> Sequence[int]:
        """The process ids of the JVMs that run."""
        return [node.pid for node in self._nodes if node.running]

    def start(self) -> None:
        """Format and start all nodes; returns when each knows all the others."""
        jars.java()
        jars.class_path()
        self._directory = _data_directory(self._name)
        self.logs.mkdir(parents=True, exist_ok=True)
        ports = free_ports(2 * self._count)
        places = [
            NodePlace(number + 1, ports[2 * number], ports[2 * number + 1], self._directory / str(number + 1))
            for number in range(self._count)
        ]
        first = replace(places[0], listeners=self._listeners)
        places[0] = first if self._port is None else replace(first, port=self._port)
        self._nodes = [Node(place, self._heap_mb, self.logs / f"node-{place.node_id}.log") for place in places]
        # The first letter is never the dash that the tool would take for an option.
        cluster_id = "S" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
        try:
            with ThreadPoolExecutor(self._count) as pool:
                list(
                    pool.map(
                        lambda node: node.format(cluster_id, server_properties(node.place, places, self._extra)),
                        self._nodes,
                    )
                )
            for node in self._nodes:
                node.launch()
            self._wait()
        except BaseException:
            self.stop(graceful=False)
            raise

    def stop(self, *, graceful: bool = False) -> None:
        """End all nodes and delete their data; `graceful` asks them first. Idempotent."""
        for node in self._nodes:
            if graceful:
                node.stop()
            else:
                node.kill()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def discard_logs(self) -> None:
        """Delete the logs: nothing failed."""
        shutil.rmtree(self.logs, ignore_errors=True)

    def kill(self, node: int = 0) -> None:
        """SIGKILL, paused or not; its data stays."""
        self._nodes[node].kill()

    def shut_down(self, node: int = 0) -> None:
        """End one node in good order, as an upgrade would; its data stays."""
        self._nodes[node].stop()

    def restart(self, node: int = 0) -> None:
        """Start a node again (killing it first if it runs) on its data and ports; returns when the whole cluster
        answers.
        """
        self._nodes[node].kill()
        self._nodes[node].launch()
        self._wait()

    def heal(self) -> None:
        """Resume what is paused and start what is dead."""
        for number, node in enumerate(self._nodes):
            if node.running:
                self.resume(number)
            else:
                node.launch()
        self._wait()

    def pause(self, node: int = 0) -> None:
        """SIGSTOP: its connections stay open and nothing answers."""
        self._nodes[node].freeze()

    def resume(self, node: int = 0) -> None:
        """SIGCONT."""
        self._nodes[node].signal(signal.SIGCONT)

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        running = [node for node in self._nodes if node.running]
        for node in running:
            node.wait(len(running), deadline)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if kind is None:
            self.discard_logs()
