"""Free loopback ports that stay free while a node is down."""

from __future__ import annotations

import random
import socket

# Below the range from which systems pick the near end of outgoing connections (32768 and above on Linux, 49152
# elsewhere): while a node is dead, no client that keeps knocking can be given the node's own port.
_RANGE = range(12_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return `count` different ports on which nothing listens at present. Raises OSError when none can be found."""
    found: list[int] = []
    for port in random.sample(_RANGE, 2_000):
        if len(found) == count:
            return found
        with socket.socket() as probe:
            # As Kafka itself binds: a port in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    raise OSError("no free port found")
