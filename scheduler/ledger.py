"""One partition of the ledger in its owner's hands: what it says, and every change to it as a transaction."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from uuid import uuid4

import msgspec

from broker.interface import BrokerError, Full, RecordTooLarge, Unavailable
from runtime.errors import one_line
from scheduler.cache import Cache
from scheduler.errors import ExportRefused
from scheduler.uninterrupted import in_thread, uninterrupted
from schemas.ledger import ACCOUNT_PREFIX, AccountState, ExportState, account_key
from schemas.topics import LEDGER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
    from pathlib import Path

    from broker.interface import Broker, Message, Transaction, TransactionalPublisher
    from scheduler.cache import Change, Scope
    from scheduler.stage import Piece, Stage

_T = TypeVar("_T")

CHUNK_BYTES: Final = 256 * 1024
"""How much of a pull is in memory at once on its way into the transaction."""


class Target(NamedTuple):
    """Where the rows of an export go."""

    topic: str
    partition: int


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
        self._changes: set[asyncio.Task[Any]] = set()
        self._doubt: str | None = None

    async def write(self, exports: Mapping[str, ExportState], accounts: Mapping[str, AccountState]) -> None:
        """Change states, all or none. Raises BrokerError; Fenced when there is a newer owner."""
        await self._to_its_end(self._write(exports, accounts))

    def give_up(self) -> None:
        """Abort what is being changed: the partition is about to go to another. Does not wait; whoever does is cancelled."""
        for change in self._changes:
            change.cancel()

    async def _write(self, exports: Mapping[str, ExportState], accounts: Mapping[str, AccountState]) -> None:
        async with self._turn, self._transaction() as transaction:
            await transaction.publish(LEDGER, self.partition, _states(exports, accounts))
        self.exports.update(exports)
        self.accounts.update(accounts)

    async def vanishing(self, export: str, stage: Stage, scope: Scope) -> tuple[int, int]:
        """Return how many of the rows in `scope` the stage lacks, and how many there are."""
        async with self._turn:
            return await in_thread(self._cache.vanishing, export, stage, scope)

    async def publish(
        self,
        export: str,
        target: Target,
        stage: Stage,
        piece: Piece,
        scope: Scope | None,
        pulled_at: str,
        settled: Callable[[Change, int], tuple[ExportState, AccountState]],
    ) -> Change:
        """Publish what a piece of a pull changed: rows, tombstones, shards, and the states that `settled` makes of the
        change and of the number of rows that then stand; all or nothing.

        Raises ExportRefused when the log does not take a row or the whole, BrokerError as `write`.
        """
        return await self._to_its_end(self._publish(export, target, stage, piece, scope, pulled_at, settled))

    async def _publish(
        self,
        export: str,
        target: Target,
        stage: Stage,
        piece: Piece,
        scope: Scope | None,
        pulled_at: str,
        settled: Callable[[Change, int], tuple[ExportState, AccountState]],
    ) -> Change:
        async with self._turn:
            try:
                change = await in_thread(self._cache.apply, export, stage, piece, scope)
                state, account = settled(change, await in_thread(self._cache.live, export))
                states = _states({export: state}, {state.account: account})
                async with self._transaction() as transaction:
                    rows = self._cache.messages(export, pulled_at)
                    while chunk := await in_thread(_chunk, rows):
                        await transaction.publish(target.topic, target.partition, chunk)
                    shards = self._cache.shards(export, change)
                    while chunk := await in_thread(_chunk, shards):
                        await transaction.publish(LEDGER, self.partition, chunk)
                    await transaction.publish(LEDGER, self.partition, states)
                await in_thread(self._cache.commit)
            except (RecordTooLarge, Full) as error:
                raise ExportRefused(f"the log does not take what was pulled: {error}") from error
            finally:
                await in_thread(self._cache.rollback)
        self.exports[export] = state
        self.accounts[state.account] = account
        return change

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
            await _read(broker, ledger, cache)
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
    async with aclosing(_records(broker, ledger.partition)) as records:
        async for key, value in records:
            if "/" in key and not key.startswith(ACCOUNT_PREFIX):
                cache.restore(key, value)
            elif value is None:
                ledger.exports.pop(key, None)
            elif key.startswith(ACCOUNT_PREFIX):
                ledger.accounts[key.removeprefix(ACCOUNT_PREFIX)] = msgspec.json.decode(value, type=AccountState)
            else:
                ledger.exports[key] = msgspec.json.decode(value, type=ExportState)
    await in_thread(cache.restored)


async def _records(broker: Broker, partition: int) -> AsyncGenerator[tuple[str, bytes | None]]:
    async for record in broker.read(LEDGER, partition=partition):
        yield (record.key or b"").decode(), record.value


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
