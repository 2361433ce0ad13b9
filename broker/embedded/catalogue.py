"""Which topics there are: pinned for a process when it first sees them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from broker.embedded.database import transaction
from broker.embedded.directory import LogFile
from broker.interface import TopicDifference, TopicPartition, UnknownTopic

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from broker.embedded.readers import Readers
    from broker.embedded.writers import Writers
    from schemas.topics import TopicSpec

_SELECT = "SELECT id, name, partitions, cleanup, retention_ms, max_message_bytes FROM topics"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is. `ids` are its partitions' in the file, by their numbers."""

    name: str
    file: LogFile
    id: int
    ids: tuple[int, ...]
    max_message_bytes: int

    def partitions(self) -> list[TopicPartition]:
        """Return all its partitions, in the order of `ids`."""
        return [TopicPartition(self.name, number) for number in range(len(self.ids))]


class Catalogue:
    """What this process knows of the topics."""

    def __init__(self, readers: Readers, writers: Writers) -> None:
        self._readers = readers
        self._writers = writers
        self._known: dict[str, Topic] = {}

    def known(self, topic: str) -> Topic | None:
        """Return the topic if this process has seen it. Does not wait."""
        return self._known.get(topic)

    async def find(self, names: Collection[str]) -> list[Topic]:
        """Return the topics in the order of their names given. Raises UnknownTopic, Unavailable."""
        missing = [name for name in names if name not in self._known]
        if missing:
            await self.refresh({LogFile.of(name) for name in missing})
        for name in missing:
            if name not in self._known:
                raise UnknownTopic(f"there is no topic {name}")
        return [self._known[name] for name in names]

    async def all(self, file: LogFile) -> list[Topic]:
        """Look again, and return every topic of a file. Raises Unavailable."""
        await self.refresh([file])
        return [topic for topic in self._known.values() if topic.file is file]

    async def refresh(self, files: Collection[LogFile] = tuple(LogFile)) -> None:
        """Look again which topics there are. Raises Unavailable."""
        for file in files:
            for topic in await self._readers.run(file, partial(_load, file=file)):
                self._known.setdefault(topic.name, topic)

    async def ensure(self, specs: Sequence[TopicSpec], *, create: bool) -> list[TopicDifference]:
        """Create what is missing (with `create`); return every difference, in the order of the specifications. Raises Unavailable,
        NotAcknowledged.
        """
        by_file: defaultdict[LogFile, list[TopicSpec]] = defaultdict(list)
        for spec in specs:
            by_file[LogFile.of(spec.name)].append(spec)
        found: list[TopicDifference] = []
        for file, wanted in by_file.items():
            differences = await self._readers.run(file, partial(_differences, specs=wanted))
            if create and any(difference.found == MISSING for difference in differences):
                differences = await self._writers.of(file).submit(partial(_create, specs=wanted))
            found.extend(differences)
        await self.refresh(by_file.keys())
        rank = {spec.name: number for number, spec in enumerate(specs)}
        return sorted(found, key=lambda difference: rank[difference.topic])


MISSING = "missing"
"""What a difference says was found of a topic that does not exist."""


def _load(connection: sqlite3.Connection, file: LogFile) -> list[Topic]:
    ids: defaultdict[int, list[int]] = defaultdict(list)
    for topic, partition in connection.execute("SELECT topic, id FROM partitions ORDER BY topic, number").fetchall():
        ids[topic].append(partition)
    return [
        Topic(name, file, topic, tuple(ids[topic]), max_message_bytes)
        for topic, name, _, _, _, max_message_bytes in connection.execute(_SELECT).fetchall()
    ]


def _differences(connection: sqlite3.Connection, specs: Sequence[TopicSpec]) -> list[TopicDifference]:
    """Compare; runs in one read."""
    rows = {row[1]: row[2:] for row in connection.execute(_SELECT).fetchall()}
    differences = []
    for spec in specs:
        if spec.name not in rows:
            differences.append(TopicDifference(spec.name, "topic", "present", MISSING))
            continue
        wanted = (spec.partitions, spec.cleanup, spec.retention_ms, spec.max_message_bytes)
        settings = ("partitions", "cleanup", "retention_ms", "max_message_bytes")
        differences += [
            TopicDifference(spec.name, setting, str(want), str(have))
            for setting, want, have in zip(settings, wanted, rows[spec.name], strict=True)
            if want != have
        ]
    return differences


def _create(connection: sqlite3.Connection, specs: Sequence[TopicSpec]) -> list[TopicDifference]:
    """Create what is missing; another process may be doing the same."""
    with transaction(connection):
        for spec in specs:
            _insert(connection, spec)
    return _differences(connection, specs)


def _insert(connection: sqlite3.Connection, spec: TopicSpec) -> None:
    inserted = connection.execute(
        "INSERT INTO topics (name, partitions, cleanup, retention_ms, max_message_bytes, held_by) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (spec.name, spec.partitions, spec.cleanup, spec.retention_ms, spec.max_message_bytes, spec.held_by),
    )
    if inserted.rowcount:
        numbers = [(inserted.lastrowid, number) for number in range(spec.partitions)]
        connection.executemany("INSERT INTO partitions (topic, number) VALUES (?, ?)", numbers)
