"""Where groups stand: offsets, what was written beside them, and who may write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from broker.interface import Commit, LogRange

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence


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
    for them. Call it in a transaction, so that no lease changes in between. Raises sqlite3.Error.
    """
    lost = []
    for partition, commit in commits.items():
        lease = connection.execute(
            "SELECT member FROM leases WHERE consumer_group = ? AND partition = ?", (group, partition)
        ).fetchone()
        if lease is None or lease[0] != members.get(partition):
            lost.append(partition)
            continue
        connection.execute(
            "INSERT INTO offsets VALUES (?, ?, ?, ?) ON CONFLICT (consumer_group, partition) "
            "DO UPDATE SET committed = excluded.committed, metadata = excluded.metadata",
            (group, partition, commit.offset, commit.metadata),
        )
    return lost
