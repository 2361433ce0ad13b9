"""The fixtures `kafka` (one node, shared by the whole run) and `kafka_cluster` (a test's own, to break).

KAFKA_BOOTSTRAP_SERVERS names a Kafka to use instead of starting one; tests that must break it still start their
own. Without Java or Maven these tests are skipped, with REQUIRE_KAFKA=1 (as in CI) they fail.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.kafka.cluster import KafkaCluster
from tests.kafka.jars import KafkaMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class RunningKafka(Protocol):
    """A Kafka that a test may use but not break."""

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect, as aiokafka takes it."""


@dataclass(frozen=True, slots=True)
class GivenKafka:
    """The one that KAFKA_BOOTSTRAP_SERVERS names."""

    bootstrap_servers: str


def _start(cluster: KafkaCluster) -> None:
    try:
        cluster.start()
    except KafkaMissingError as missing:
        if os.environ.get("REQUIRE_KAFKA") == "1":
            pytest.fail(f"REQUIRE_KAFKA=1, but {missing}", pytrace=False)
        pytest.skip(f"no Kafka: {missing}")


@contextmanager
def running(cluster: KafkaCluster, request: pytest.FixtureRequest) -> Iterator[KafkaCluster]:
    """Start a cluster, and end it; its logs are kept when a test failed meanwhile. For fixtures of any scope."""
    failed_before = request.session.testsfailed
    try:
        _start(cluster)
        yield cluster
    finally:
        cluster.stop()
        # A test's failure is counted before its fixtures end.
        if request.session.testsfailed > failed_before:
            reporter = request.config.pluginmanager.get_plugin("terminalreporter")
            if reporter is not None:
                reporter.write_line(f"Kafka's logs are kept in {cluster.logs}")
        else:
            cluster.discard_logs()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[RunningKafka]:
    """One node for the whole run: use topics and groups of your own names, break nothing."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield GivenKafka(given)
        return
    with running(KafkaCluster(name="shared"), request) as cluster:
        yield cluster


@pytest.fixture
def start_kafka(request: pytest.FixtureRequest) -> Iterator[Callable[..., KafkaCluster]]:
    """Starts clusters of the test's own: `start_kafka(nodes=3, extra={"…": "…"})` takes what KafkaCluster takes."""
    with ExitStack() as clusters:

        def start(nodes: int = 1, **options: Any) -> KafkaCluster:
            return clusters.enter_context(running(KafkaCluster(nodes, name="own", **options), request))

        yield start


@pytest.fixture
def kafka_cluster(start_kafka: Callable[..., KafkaCluster]) -> KafkaCluster:
    """One node of the test's own: kill, pause, restart it."""
    return start_kafka()
