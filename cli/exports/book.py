"""What the scheduler reports of exports and accounts: its ledger, as it stands and as it changes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from broker.interface import UnknownTopic
from runtime.errors import OperatorError
from schemas.ledger import ACCOUNT_PREFIX, AccountState, ExportState
from schemas.topics import LEDGER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from broker.interface import Broker, Record


class Entry(NamedTuple):
    """Where an export stands, and when its owner wrote that: Unix milliseconds on the owner's clock."""

    state: ExportState
    written_at: int


class Book:
    """The latest entry of each export and account. Life: made → `take` each record, in the order of its partition."""

    def __init__(self) -> None:
        self.accounts: dict[str, AccountState] = {}
        self._exports: dict[str, Entry] = {}
        self._taken: dict[int, int] = {}

    @property
    def exports(self) -> list[str]:
        """The names of those that the ledger knows."""
        return list(self._exports)

    def entry(self, export: str) -> Entry | None:
        """Return what was written last of an export; None when it was never heard of."""
        return self._exports.get(export)

    def state(self, export: str) -> ExportState | None:
        """Return where an export stands; None when it was never heard of."""
        entry = self._exports.get(export)
        return None if entry is None else entry.state

    def has(self, record: Record) -> bool:
        """Say whether a record was entered."""
        return record.offset <= self._taken.get(record.partition, -1)

    def take(self, record: Record) -> None:
        """Enter a record of the ledger. Raises OperatorError when it cannot be read."""
        self._taken[record.partition] = record.offset
        key = (record.key or b"").decode(errors="replace")
        try:
            if key.startswith(ACCOUNT_PREFIX):
                self._take_account(key.removeprefix(ACCOUNT_PREFIX), record.value)
            elif "/" not in key:  # the fingerprints of rows are the owner's
                self._take_export(key, record)
        except msgspec.MsgspecError as error:
            raise OperatorError(f"the ledger's record of {key} cannot be read: {error}") from error

    def _take_account(self, name: str, value: bytes | None) -> None:
        if value is None:
            self.accounts.pop(name, None)
        else:
            self.accounts[name] = msgspec.json.decode(value, type=AccountState)

    def _take_export(self, name: str, record: Record) -> None:
        before = self._exports.get(name)
        # An export that changed its account left an older record in another partition.
        if before is not None and record.timestamp < before.written_at:
            return
        if record.value is None:
            self._exports.pop(name, None)
        else:
            self._exports[name] = Entry(msgspec.json.decode(record.value, type=ExportState), record.timestamp)


class Watch:
    """The book, and the records that are still to be entered. `watching` makes it.

    Every record is entered alone, so that nobody misses what stood there for a moment only.
    """

    def __init__(self, book: Book, coming: asyncio.Queue[Record | Exception]) -> None:
        self.book = book
        self._coming = coming

    async def step(self, seconds: float | None) -> bool:
        """Enter the next record, waiting up to `seconds` for it (None: for ever); False when none came.

        Raises BrokerError, OperatorError.
        """
        try:
            async with asyncio.timeout(seconds):
                record = await self._coming.get()
        except TimeoutError:
            return False
        if isinstance(record, Exception):
            raise record
        self.book.take(record)
        return True


async def read_book(broker: Broker, partition: int | None = None) -> Book:
    """Return the ledger as it stands, or one partition of it; empty where no scheduler ever ran.

    Waits for all of it to be read. Raises Unavailable, OperatorError.
    """
    book = Book()
    try:
        async for record in broker.read(LEDGER, partition=partition):
            book.take(record)
    except UnknownTopic:
        return book
    return book


@asynccontextmanager
async def watching(broker: Broker, partition: int | None) -> AsyncIterator[Watch]:
    """Give the ledger, or one partition of it, read to its present end and followed from there on.

    Raises BrokerError, OperatorError.
    """
    book = await read_book(broker, partition)
    coming: asyncio.Queue[Record | Exception] = asyncio.Queue()
    following = asyncio.create_task(_follow(broker, partition, book, coming))
    try:
        yield Watch(book, coming)
    finally:
        following.cancel()
        await asyncio.wait([following])


async def _follow(broker: Broker, partition: int | None, book: Book, coming: asyncio.Queue[Record | Exception]) -> None:
    # From the beginning, because nobody knows where reading ended: the book knows what it has.
    records = cast("AsyncGenerator[Record]", broker.read(LEDGER, partition=partition, follow=True))
    try:
        async with aclosing(records):
            async for record in records:
                if not book.has(record):
                    coming.put_nowait(record)
    except Exception as error:  # noqa: BLE001  # raised where somebody waits for the next record
        coming.put_nowait(error)
