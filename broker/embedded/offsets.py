"""Where groups stand: offsets, what was written beside them, and who may write them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from broker.interface import Commit, LogRange

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

# As in `append`.
_ROWS: Final = 200


class Place(NamedTuple):
    """What one partition holds and where one group stands in it."""

    log: LogRange
    commit: Commit | None


def places(connection: sqlite3.Connection, group: str, topics: Sequence[int]) -> dict[int, Place]:
    """Return every partition of the topics (by ids) with the group's place in it. One read. Raises sqlite3.Error."""
    found = {}
    for topic in topics:
        rows = connection.execute(
            "SELECT id, log_start, log_end, committed, metadata FROM partitions "
            "LEFT JOIN offsets ON consumer_group = ? AND partition = id WHERE topic = ?",
            (group, topic),
        )
        for partition, start, end, committed, metadata in rows.fetchall():
            commit = None if committed is None else Commit(committed, metadata)
            found[partition] = Place(LogRange(start, end), commit)
    return found


def write_commits(
    connection: sqlite3.Connection, group: str, commits: Mapping[int, Commit], members: Mapping[int, int]
) -> list[int]:
    """Write the group's places in partitions (by ids) that are leased to `members` of it. Return those that are not: nothing was written
    for them. Each place is written whole or not at all. Raises sqlite3.Error.
    """
    rows = [(partition, members[partition], *commit) for partition, commit in commits.items()]
    written = 0
    for first in range(0, len(rows), _ROWS):
        some = rows[first : first + _ROWS]
        values = [value for row in some for value in row]
        written += connection.execute(_upsert(len(some)), [*values, group, group]).rowcount
    if written == len(rows):
        return []
    leases = connection.execute("SELECT partition, member FROM leases WHERE consumer_group = ?", (group,)).fetchall()
    return [partition for partition in commits if (partition, members[partition]) not in leases]


# One statement is one transaction, which finds the lease and writes: see `append_at_once`.
@cache
def _upsert(rows: int) -> str:
    # Only question marks are put in.
    return (
        f"INSERT INTO offsets WITH wanted (partition, member, committed, metadata) AS (VALUES {', '.join(['(?, ?, ?, ?)'] * rows)}) "  # noqa: S608  # as said
        "SELECT ?, wanted.partition, committed, metadata FROM wanted JOIN leases "
        "ON consumer_group = ? AND leases.partition = wanted.partition AND leases.member = wanted.member WHERE true "
        "ON CONFLICT (consumer_group, partition) DO UPDATE SET committed = excluded.committed, metadata = excluded.metadata"
    )
