"""`python -m tests.kafka`: a real Kafka on loopback until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from tests.kafka.cluster import KafkaCluster
from tests.kafka.jars import KafkaMissingError


def main() -> int:
    """Start, print how to reach it, wait for Ctrl-C or SIGTERM, stop. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.kafka", description="A real Kafka on loopback until Ctrl-C.")
    parser.add_argument("--port", type=int, help="of the first node (default: any free one)")
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 3), help="brokers (default: 1)")
    options = parser.parse_args()

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    cluster = KafkaCluster(options.nodes, port=options.port, name="make")
    sys.stdout.write("Starting Kafka…\n")
    try:
        cluster.start()
    except (KafkaMissingError, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    first = cluster.bootstrap_servers
    sys.stdout.write(
        f"Kafka answers at {first} (its log: {cluster.logs}). Ctrl-C stops it and deletes its data.\n\n"
        f"  kcat -L -b {first}\n"
        f"  SLUICE_BROKER__KIND=kafka SLUICE_BROKER__BOOTSTRAP_SERVERS={first}"
        f" SLUICE_BROKER__REPLICATION_FACTOR={options.nodes} .venv/bin/sluice topics ensure\n"
    )
    sys.stdout.flush()
    ended.wait()
    cluster.stop()
    cluster.discard_logs()
    sys.stdout.write("Kafka stopped.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
