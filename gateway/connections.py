"""How many connections a gateway holds at a time (G6)."""

from __future__ import annotations

import contextlib
import resource

MAX_CONNECTIONS = 8192
"""Each takes some 10 KiB while it is idle. When all of them are busy, whoever comes is told to come again."""
SPARE_FILES = 256
"""Of the files that the system grants, what is kept for everything else: the spool, Kafka, upstreams."""


def claim_connections() -> int:
    """Have this process granted the open files that `MAX_CONNECTIONS` need, as far as its hard limit allows (many systems grant 1,024 to
    whoever does not ask); return how many connections there may be.
    """
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + SPARE_FILES
    if files == resource.RLIM_INFINITY or files >= wanted:
        return MAX_CONNECTIONS
    more = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    with contextlib.suppress(OSError, ValueError):  # where it is not granted, there are as many as there were
        resource.setrlimit(resource.RLIMIT_NOFILE, (more, most))
        files = more
    return min(MAX_CONNECTIONS, max(files - SPARE_FILES, files // 2))
