"""The cluster that the Kafka tests stand on: it answers, dies and comes back, and outlives nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.kafka.question import brokers_known

if TYPE_CHECKING:
    from tests.kafka.cluster import KafkaCluster

pytestmark = pytest.mark.kafka


_OWNER = """
from tests.kafka.cluster import KafkaCluster
cluster = KafkaCluster(name="owned")
cluster.start()
cluster.discard_logs()
print(*cluster.pids, flush=True)
input()
"""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_hangs_dies_and_comes_back_on_its_data(kafka_cluster: KafkaCluster) -> None:
    port = int(kafka_cluster.bootstrap_servers.rpartition(":")[2])
    kafka_cluster.pause()
    with pytest.raises(TimeoutError):
        brokers_known(port, timeout=0.2)
    kafka_cluster.heal()
    assert brokers_known(port, timeout=10) == 1
    (before,) = kafka_cluster.pids
    kafka_cluster.kill()
    with pytest.raises(OSError, match=r"."):
        brokers_known(port)
    kafka_cluster.restart()
    (after,) = kafka_cluster.pids
    assert brokers_known(port) == 1
    assert not _alive(before)
    assert _alive(after)


@pytest.mark.usefixtures("kafka")
def test_no_java_outlives_its_owner() -> None:
    """SIGKILL leaves the owner no chance to clean up; the leash ends the JVM all the same."""
    owner = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    assert owner.stdin is not None
    pid = int(owner.stdout.readline())
    assert _alive(pid)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdin.close()
    owner.stdout.close()
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(pid)
