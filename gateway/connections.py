"""How many connections a gateway holds at a time (G6)."""

from __future__ import annotations

import resource

MAX_CONNECTIONS = 8192
"""Each takes some 10 KiB while it is idle. When all of them are busy, whoever comes is told to come again."""
SPARE_FILES = 256
"""Of the files that the system grants, what is kept for everything else: the spool, Kafka, upstreams."""


def connections_granted() -> int:
    """Return `MAX_CONNECTIONS`, or fewer where the system grants fewer open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, max(files - SPARE_FILES, files // 2))
