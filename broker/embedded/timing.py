"""How often the embedded log looks, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds. The defaults suit processes on one machine; tests shorten them.

    `session_timeout`: a member that shows no life for so long loses its partitions (one whose process is dead: at once).
    `heartbeat`: how often it shows life. `poll_timeout`: how long its owner may stay away from `poll`. `rebalance_timeout`: how long
    `revoked` may take. `safety_check`: how often readers look without being woken. `housekeeping`: how often the write-ahead log's
    size is looked at. `retention`: how often old records are deleted. `compaction`: at the latest so long after the last time is a
    compacted partition compacted again.
    """

    session_timeout: float = 3.0
    heartbeat: float = 0.5
    poll_timeout: float = 30.0
    rebalance_timeout: float = 60.0
    safety_check: float = 1.0
    housekeeping: float = 0.25
    retention: float = 60.0
    compaction: float = 86_400.0
