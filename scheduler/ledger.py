"""One partition of the ledger in its owner's hands: what it says, and every change to it as a transaction."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

import msgspec

from broker.interface import BrokerError, Full, RecordTooLarge, Unavailable
from runtime.errors import one_line
from scheduler.cache import Cache, TooMuch
from scheduler.errors import ExportRefused, Retryable
from scheduler.publication import Publication, Target, together
from scheduler.uninterrupted import in_thread, uninterrupted
from schemas.ledger import ACCOUNT_PREFIX, AccountState, ExportState, account_key
from schemas.topics import LEDGER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from broker.interface import Broker, Message, Transaction, TransactionalPublisher
    from scheduler.cache import Change

_T = TypeVar("_T")

CHUNK_BYTES: Final = 256 * 1024
"""How much of a pull is in memory at once on its way into the transaction."""

_CACHE_FAILS: Final = "what was published cannot be kept on disk to compare with"


class Ledger:
    """What stands in one partition of the ledger. Life: `taken_over` → read, `write`, `publish` … → its end.

    `exports` and `accounts` are what was committed last. A change goes to its end, or fails, also when whoever waits for it is
    cancelled: what then stands in the log is known here. After a BrokerError out of `write` or `publish` nothing is certain any
    more: leave `taken_over` and take over anew.
    """

    def __init__(self, partition: int, publisher: TransactionalPublisher, cache: Cache) -> None:
        self.partition = partition
        self.exports: dict[str, ExportState] = {}
        self.accounts: dict[str, AccountState] = {}
        self._publisher = publisher
        self._cache = cache
        self._turn = asyncio.Lock()
        self._waiting: list[Publication] = []
        self._changes: set[asyncio.Task[Any]] = set()
        self._doubt: str | None = None

    async def write(self, exports: Mapping[str, ExportState], accounts: Mapping[str, AccountState]) -> None:
        """Change states, all or none. Raises BrokerError; Fenced when there is a newer owner."""
        await self._to_its_end(self._write(exports, accounts))

    def give_up(self) -> None:
        """Abort what is being changed, and change nothing from now on: the partition is about to go to another, or has gone. Does not
        wait; whoever waits for a change is cancelled.
        """
        self._doubt = self._doubt or "it is being given up"
        for change in self._changes:
            change.cancel()

    async def _write(self, exports: Mapping[str, ExportState], accounts: Mapping[str, AccountState]) -> None:
        async with self._turn, self._transaction() as transaction:
            await transaction.publish(LEDGER, self.partition, _states(exports, accounts))
        self.exports.update(exports)
        self.accounts.update(accounts)

    async def publish(self, publication: Publication) -> Change | None:
        """Publish what a piece of a pull changed: rows, tombstones, shards and states, all or nothing; return what that was, None when it
        was not accepted. What else waits for its turn may go along, in one transaction with it.

        Raises ExportRefused when the log does not take a row or the whole; Retryable when the disk fails on which they wait; BrokerError
        as `write`.
        """
        await self._to_its_end(self._publish(publication))
        return publication.change

    async def _publish(self, publication: Publication) -> None:
        self._waiting.append(publication)
        try:
            async with self._turn:
                if not publication.done:  # nobody took it along
                    await self._publish_with_others(publication)
        except (RecordTooLarge, Full, TooMuch) as error:
            raise ExportRefused(f"the log does not take what was pulled: {error}") from error
        except sqlite3.OperationalError as error:
            raise Retryable(f"{_CACHE_FAILS}: {error}") from error
        finally:
            self._waiting.remove(publication)

    async def _publish_with_others(self, publication: Publication) -> None:
        group = together(publication, self._waiting)
        try:
            await self._publish_all(group)
        except (RecordTooLarge, Full, TooMuch):
            if len(group) == 1:
                raise
            for each in group:
                each.part()
            await self._publish_all([publication])

    async def _publish_all(self, group: Sequence[Publication]) -> None:
        exports: dict[str, ExportState] = {}
        accounts: dict[str, AccountState] = {}
        try:
            await in_thread(_prepare, self._cache, group)
            for each in group:
                if each.change is not None:
                    exports[each.export], account = each.settled(each.change, each.standing)
                    accounts[exports[each.export].account] = account
            if exports:
                async with self._transaction() as transaction:
                    await self._hand_over(transaction, group)
                    await transaction.publish(LEDGER, self.partition, _states(exports, accounts))
                await self._keep()
        finally:
            if self._cache.changing:
                await in_thread(self._cache.rollback)
        self.exports.update(exports)
        self.accounts.update(accounts)
        for each in group:
            each.done = True

    async def _keep(self) -> None:
        try:
            await in_thread(self._cache.commit)
        except sqlite3.OperationalError as error:
            self._doubt = f"{_CACHE_FAILS}: {error}"  # the log has what the cache now lacks
            raise Unavailable(self._doubt) from error

    async def _hand_over(self, transaction: Transaction, group: Sequence[Publication]) -> None:
        ledger = Target(LEDGER, self.partition)
        if not group[0].is_small:
            for target, messages in ((group[0].target, group[0].rows), (ledger, group[0].shards)):
                while chunk := await in_thread(_chunk, messages):
                    await transaction.publish(*target, chunk)
            return
        outgoing: defaultdict[Target, list[Message]] = defaultdict(list)
        for each in group:
            outgoing[each.target].extend(each.rows)
            outgoing[ledger].extend(each.shards)
        for target, found in outgoing.items():
            if found:
                await transaction.publish(*target, found)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Transaction]:
        if self._doubt is not None:
            raise Unavailable(f"what the ledger holds is not certain any more: {self._doubt}")
        try:
            async with self._publisher.transaction() as transaction:
                yield transaction
        except (RecordTooLarge, Full):
            raise  # nothing was handed over
        except (BrokerError, asyncio.CancelledError) as error:
            self._doubt = one_line(error)
            raise

    async def _to_its_end(self, change: Coroutine[None, None, _T]) -> _T:
        task = asyncio.create_task(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await uninterrupted(task)


@asynccontextmanager
async def taken_over(broker: Broker, partition: int, directory: Path) -> AsyncIterator[Ledger]:
    """Take over a partition of the ledger: fence whoever owned it, then read it to its end; on leaving give it up.

    Raises BrokerError.
    """
    publisher = await broker.transactional(f"sluice-scheduler-{partition}")
    try:
        # Each time a file of its own: an earlier one may still be on its way out.
        async with _cache(directory / f"ledger-{partition}-{uuid4().hex}.sqlite") as cache:
            ledger = Ledger(partition, publisher, cache)
            try:
                await _read(broker, ledger, cache)
            except sqlite3.OperationalError as error:
                raise Unavailable(f"{_CACHE_FAILS}: {error}") from error
            yield ledger
    finally:
        await uninterrupted(asyncio.create_task(publisher.close()))


@asynccontextmanager
async def _cache(path: Path) -> AsyncIterator[Cache]:
    opening = asyncio.create_task(asyncio.to_thread(Cache, path))
    try:
        yield await uninterrupted(opening)
    finally:
        if opening.exception() is None:
            await in_thread(opening.result().close)


async def _read(broker: Broker, ledger: Ledger, cache: Cache) -> None:
    shards: list[tuple[str, bytes | None]] = []
    size = 0
    async with aclosing(_records(broker, ledger.partition)) as records:
        async for key, value in records:
            if "/" in key and not key.startswith(ACCOUNT_PREFIX):
                shards.append((key, value))
                size += len(key) + len(value or b"")
                if size > CHUNK_BYTES:
                    await in_thread(cache.restore, shards)
                    shards, size = [], 0
            elif value is None:
                ledger.exports.pop(key, None)
            elif key.startswith(ACCOUNT_PREFIX):
                ledger.accounts[key.removeprefix(ACCOUNT_PREFIX)] = msgspec.json.decode(value, type=AccountState)
            else:
                ledger.exports[key] = msgspec.json.decode(value, type=ExportState)
    await in_thread(cache.restore, shards)
    await in_thread(cache.restored)


async def _records(broker: Broker, partition: int) -> AsyncGenerator[tuple[str, bytes | None]]:
    async for record in broker.read(LEDGER, partition=partition):
        yield (record.key or b"").decode(), record.value


def _prepare(cache: Cache, group: Iterable[Publication]) -> None:
    cache.begin()
    for each in group:
        each.prepare(cache)


def _states(exports: Mapping[str, ExportState], accounts: Mapping[str, AccountState]) -> Sequence[Message]:
    return [
        *((name.encode(), msgspec.json.encode(state), ()) for name, state in exports.items()),
        *((account_key(name), msgspec.json.encode(state), ()) for name, state in accounts.items()),
    ]


def _chunk(messages: Iterator[Message]) -> list[Message]:
    """Return the next messages, about as many as are to be in memory at once; none at the end."""
    chunk: list[Message] = []
    size = 0
    for message in messages:
        chunk.append(message)
        size += len(message[0] or b"") + len(message[1] or b"")
        if size >= CHUNK_BYTES:
            break
    return chunk
