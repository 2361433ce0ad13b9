"""The rows of a group: who is in it, since when they were not heard of, and what is leased to whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from broker.embedded.assignment import Share, assign

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable


class Row(NamedTuple):
    """One member. `topics` are ids, `wake` is its FIFO, `heartbeat` when it last showed life (monotonic seconds)."""

    id: int
    topics: tuple[int, ...]
    wake: str
    heartbeat: float


class Plan(NamedTuple):
    """The group as it is and as it should be: who is to be expelled, who owns what, who should (partitions by ids, members by numbers)."""

    gone: list[int]
    owners: dict[int, int]
    wanted: dict[int, int]


def rows_of(connection: sqlite3.Connection, group: str) -> list[Row]:
    """Return the members of `group`, those among them that died. May raise sqlite3.Error."""
    rows = connection.execute(
        "SELECT id, topics, wake, heartbeat FROM members WHERE consumer_group = ? ORDER BY id", (group,)
    ).fetchall()
    return [Row(member, tuple(json.loads(topics)), wake, heartbeat) for member, topics, wake, heartbeat in rows]


class Roster:
    """One group in one file. Its methods run in their caller's transactions, and may raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection, group: str) -> None:
        self._connection = connection
        self._group = group
        # Topics do not change.
        self._partitions: dict[int, list[int]] = {}

    def join(self, topics: Iterable[int], wake: str, now: float) -> int:
        """Return the number of a new member: higher than any before."""
        added = self._connection.execute(
            "INSERT INTO members (consumer_group, topics, wake, heartbeat) VALUES (?, ?, ?, ?)",
            (self._group, json.dumps(sorted(topics)), wake, now),
        )
        assert added.lastrowid is not None  # noqa: S101  # one row was inserted
        return added.lastrowid

    def beat(self, member: int, now: float) -> bool:
        """Show life. False: the member was expelled, or never was one."""
        touched = self._connection.execute("UPDATE members SET heartbeat = ? WHERE id = ?", (now, member))
        return touched.rowcount == 1

    def plan(self, is_gone: Callable[[Row], bool]) -> Plan:
        """Return what is and what should be, without the members that are gone. All in one read, if called in a transaction."""
        members = rows_of(self._connection, self._group)
        gone = [row.id for row in members if is_gone(row)]
        staying = [row for row in members if row.id not in gone]
        owners = {partition: member for partition, member in self._leases().items() if member not in gone}
        topics = sorted({topic for row in staying for topic in row.topics})
        shares = [Share(self._ids(topic), [row.id for row in staying if topic in row.topics]) for topic in topics]
        return Plan(gone, owners, assign(shares, owners))

    def remove(self, member: int) -> None:
        """Remove a member and its leases."""
        self._connection.execute("DELETE FROM leases WHERE consumer_group = ? AND member = ?", (self._group, member))
        self._connection.execute("DELETE FROM members WHERE id = ?", (member,))

    def lease(self, member: int, partitions: Iterable[int]) -> None:
        """Make the member the owner of partitions that have none."""
        rows = [(self._group, partition, member) for partition in partitions]
        self._connection.executemany("INSERT INTO leases VALUES (?, ?, ?)", rows)

    def release(self, member: int, partitions: Iterable[int]) -> None:
        """Make the member own these no longer."""
        rows = [(self._group, partition, member) for partition in partitions]
        self._connection.executemany(
            "DELETE FROM leases WHERE consumer_group = ? AND partition = ? AND member = ?", rows
        )

    def _leases(self) -> dict[int, int]:
        # One row, however many leases: the heartbeat must not wait for Python's interpreter lock at each of them.
        (pairs,) = self._connection.execute(
            "SELECT group_concat(partition || ' ' || member) FROM leases WHERE consumer_group = ?", (self._group,)
        ).fetchone()
        if pairs is None:
            return {}
        return {int(partition): int(member) for partition, member in map(str.split, pairs.split(","))}

    def _ids(self, topic: int) -> list[int]:
        if topic not in self._partitions:
            (ids,) = self._connection.execute(
                "SELECT group_concat(id) FROM partitions WHERE topic = ?", (topic,)
            ).fetchone()
            # They were numbered in the order of their partitions.
            self._partitions[topic] = sorted(map(int, ids.split(",")))
        return self._partitions[topic]
