"""The rows of a group: who is in it, since when they were not heard of, and what is leased to whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from broker.embedded.assignment import Share, assign

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterable


class Row(NamedTuple):
    """One member. `topics` are ids, `wake` is its FIFO, `heartbeat` when it last showed life (monotonic seconds)."""

    id: int
    topics: tuple[int, ...]
    wake: str
    heartbeat: float


class Roster:
    """One group in one file. Every method runs inside of a transaction of its caller, and may raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection, group: str) -> None:
        self._connection = connection
        self._group = group

    def join(self, topics: Iterable[int], wake: str, now: float) -> int:
        """Return the number of a new member: higher than any before."""
        added = self._connection.execute(
            "INSERT INTO members (consumer_group, topics, wake, heartbeat) VALUES (?, ?, ?, ?)",
            (self._group, json.dumps(sorted(topics)), wake, now),
        )
        assert added.lastrowid is not None  # noqa: S101  # one row was inserted
        return added.lastrowid

    def beat(self, member: int, now: float) -> bool:
        """Show life. False: the member was expelled."""
        touched = self._connection.execute("UPDATE members SET heartbeat = ? WHERE id = ?", (now, member))
        return touched.rowcount == 1

    def members(self) -> list[Row]:
        """Return who is in the group, in the order in which they joined."""
        rows = self._connection.execute(
            "SELECT id, topics, wake, heartbeat FROM members WHERE consumer_group = ? ORDER BY id", (self._group,)
        ).fetchall()
        return [Row(member, tuple(json.loads(topics)), wake, heartbeat) for member, topics, wake, heartbeat in rows]

    def expel(self, gone: Callable[[Row], bool]) -> bool:
        """Remove the members that are `gone`, with their leases. True when there was one."""
        expelled = [row.id for row in self.members() if gone(row)]
        for member in expelled:
            self.remove(member)
        return bool(expelled)

    def remove(self, member: int) -> None:
        """Remove a member and its leases."""
        self._connection.execute("DELETE FROM leases WHERE consumer_group = ? AND member = ?", (self._group, member))
        self._connection.execute("DELETE FROM members WHERE id = ?", (member,))

    def leases(self) -> dict[int, int]:
        """Return the owner of each partition that has one."""
        rows = self._connection.execute("SELECT partition, member FROM leases WHERE consumer_group = ?", (self._group,))
        return dict(rows.fetchall())

    def lease(self, member: int, partitions: Iterable[int]) -> None:
        """Make the member the owner of partitions that have none."""
        rows = [(self._group, partition, member) for partition in partitions]
        self._connection.executemany("INSERT INTO leases VALUES (?, ?, ?)", rows)

    def release(self, member: int, partitions: Collection[int]) -> None:
        """Make the member own these no longer."""
        rows = [(self._group, partition, member) for partition in partitions]
        self._connection.executemany(
            "DELETE FROM leases WHERE consumer_group = ? AND partition = ? AND member = ?", rows
        )

    def wanted(self) -> dict[int, int]:
        """Return who should own what, by who is in the group and who owns what now."""
        members = self.members()
        topics = sorted({topic for row in members for topic in row.topics})
        shares = [
            Share(self._partitions(topic), [row.id for row in members if topic in row.topics]) for topic in topics
        ]
        return assign(shares, self.leases())

    def _partitions(self, topic: int) -> list[int]:
        rows = self._connection.execute("SELECT id FROM partitions WHERE topic = ? ORDER BY number", (topic,))
        return [partition for (partition,) in rows.fetchall()]
