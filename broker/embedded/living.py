"""Which members of a group are still there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.embedded.roster import rows_of
from broker.embedded.wake import is_dead

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from broker.embedded.roster import Row
    from runtime.clock import Clock


def is_gone(row: Row, now: float, session_timeout: float, wake: Path) -> bool:
    """Say whether a member that was read at `now` (monotonic seconds) has to go; `wake` is where the FIFOs are. Blocks shortly."""
    # After a restart of the machine the clock begins anew: what is ahead of it is from before.
    silent = not 0 <= now - row.heartbeat <= session_timeout
    return silent or is_dead(wake, row.wake)


def count_living(connection: sqlite3.Connection, group: str, clock: Clock, session_timeout: float, wake: Path) -> int:
    """Return how many members of `group` are there. Blocks shortly. May raise sqlite3.Error."""
    rows = rows_of(connection, group)
    # Later than any heartbeat among them.
    now = clock.monotonic()
    return sum(not is_gone(row, now, session_timeout, wake) for row in rows)
