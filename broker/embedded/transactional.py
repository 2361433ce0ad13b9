"""Transactions: staged in memory, written in one SQLite transaction."""

from __future__ import annotations

from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from broker.embedded.append import append_chunks
from broker.embedded.chunk import encode_pieces
from broker.embedded.database import transaction
from broker.embedded.directory import LogFile
from broker.embedded.wake import mark
from broker.interface import Fenced, Full, Transaction, TransactionalPublisher, Unavailable, UnknownTopic

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Sequence

    from broker.embedded.catalogue import Catalogue
    from broker.embedded.chunk import Piece
    from broker.embedded.writers import Writers
    from broker.interface import Message
    from runtime.clock import Clock

MAX_STAGED_BYTES: Final = 64 * 1024 * 1024


class StagedTransaction(Transaction):
    """What an open transaction holds. All its topics lie in one file: the first one decides which."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._size = 0
        self.file: LogFile | None = None
        self.pieces: defaultdict[int, list[Piece]] = defaultdict(list)

    async def publish(self, topic: str, partition: int, messages: Sequence[Message]) -> None:
        """As the interface says; held in memory until the end. Raises UnknownTopic, RecordTooLarge, Full above 64 MiB, and ValueError for
        a topic of the other file.
        """
        (known,) = await self._catalogue.find([topic])
        if not 0 <= partition < len(known.ids):
            raise UnknownTopic(f"{topic} has {len(known.ids)} partitions, none is number {partition}")
        if self.file not in (None, known.file):
            raise ValueError(
                f"{topic} cannot be written in this transaction: the embedded log keeps ecommerce.* and all other topics in two "
                "files, and no transaction spans both"
            )
        if not messages:
            return
        pieces = encode_pieces(topic, messages, known.max_message_bytes)
        size = sum(len(piece.body) for piece in pieces)
        if self._size + size > MAX_STAGED_BYTES:
            raise Full(f"the transaction is larger than {MAX_STAGED_BYTES} bytes: publish it in parts")
        self.file = known.file
        self._size += size
        self.pieces[known.ids[partition]] += pieces


class EmbeddedTransactionalPublisher(TransactionalPublisher):
    """The owner of a transactional id by virtue of its epochs, one in each file. Life: `claim` → `transaction` … → `close`."""

    def __init__(self, transactional_id: str, catalogue: Catalogue, writers: Writers, clock: Clock) -> None:
        self._id = transactional_id
        self._catalogue = catalogue
        self._writers = writers
        self._clock = clock
        self._epochs: dict[LogFile, int] = {}
        self._closed = False

    async def claim(self) -> None:
        """Become the owner; whoever was is fenced. Raises Unavailable, NotAcknowledged."""
        for file in LogFile:
            self._epochs[file] = await self._writers.of(file).submit(self._next_epoch)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """As the interface says. Raises at its end what `publish` of a publisher's future would."""
        if self._closed:
            raise Unavailable("the transactional publisher is closed")
        staged = StagedTransaction(self._catalogue)
        yield staged
        if self._closed:
            raise Unavailable("the transactional publisher was closed while a transaction was open")
        await self._commit(staged)

    async def close(self) -> None:
        """As the interface says. Does not wait."""
        self._closed = True

    async def _commit(self, staged: StagedTransaction) -> None:
        # An empty transaction asks only whether it is still the owner's.
        file = LogFile.EXPORTS if staged.file is None else staged.file

        def write(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                if self._epoch(connection) != self._epochs[file]:
                    raise Fenced(f"{self._id} has a newer owner")
                append_chunks(connection, staged.pieces, int(self._clock.now() * 1000))

        marks = {mark(file, partition) for partition in staged.pieces}
        await self._writers.of(file).submit(write, marks)

    def _next_epoch(self, connection: sqlite3.Connection) -> int:
        with transaction(connection):
            connection.execute(
                "INSERT INTO owners VALUES (?, 1) ON CONFLICT (transactional_id) DO UPDATE SET epoch = epoch + 1",
                (self._id,),
            )
            return self._epoch(connection)

    def _epoch(self, connection: sqlite3.Connection) -> int:
        (epoch,) = connection.execute("SELECT epoch FROM owners WHERE transactional_id = ?", (self._id,)).fetchone()
        return int(epoch)
