"""The one thread that writes arrivals: many requests' events in one transaction, answered when it is on disk."""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import duckdb

from runtime.errors import one_line
from sandbox.tolinku.arrivals import instant
from sandbox.tolinku.deduplication import DEDUPLICATED, Order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.clock import Clock
    from sandbox.tolinku.arrivals import Arrivals
    from sandbox.tolinku.deduplication import DeduplicationWindow
    from sandbox.tolinku.measure import Measured

GROUP_EVENTS = 20_000
PENDING_EVENTS = 200_000


class NotStored(Exception):
    """The events were not stored: the disk, or DuckDB, refused. They may be sent again."""


class Overloaded(NotStored):
    """More events are waiting for the disk than may wait; nothing was taken."""


class Receipt(NamedTuple):
    """What became of one request: its first event's arrival number, how many arrived, how many of them are silently
    ignored.
    """

    first: int
    arrived: int
    ignored: int


@dataclass(slots=True)
class _Delivery:
    appspace: str
    events: Sequence[Measured]
    across_types: bool
    at: float
    receipt: asyncio.Future[Receipt]


class Writer:
    """Stores events. Life: `start` (in the event loop's thread) → `store` … → `close`.

    `store` takes requests in the order of the calls; so are their arrivals numbered.
    """

    def __init__(self, arrivals: Arrivals, clock: Clock) -> None:
        self._arrivals = arrivals
        self._clock = clock
        self._queue: queue.SimpleQueue[_Delivery | None] = queue.SimpleQueue()
        self._pending = 0
        self._fault: str | None = None
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Read where the table stands and start the thread. Waits for the disk."""
        self._loop = asyncio.get_running_loop()
        table = await asyncio.to_thread(_Table, self._arrivals, self._clock.now())
        self._thread = threading.Thread(target=self._run, args=(table,), name="sandbox-writer")
        self._thread.start()

    async def store(self, appspace: str, events: Sequence[Measured], *, across_types: bool) -> Receipt:
        """Store `events` (at least one) and return when they are committed. `across_types`: a refund is a duplicate
        of its purchase.

        Raises Overloaded at once, NotStored when the commit failed. A caller who is cancelled does not take the
        events back.
        """
        if self._pending + len(events) > PENDING_EVENTS:
            raise Overloaded("too many events are waiting for the disk")
        receipt: asyncio.Future[Receipt] = self._loop.create_future()
        self._pending += len(events)
        self._queue.put(_Delivery(appspace, events, across_types, self._clock.now(), receipt))
        return await receipt

    def fault(self) -> str | None:
        """Return why the last commit failed, None when it did not."""
        return self._fault

    async def close(self) -> None:
        """Commit what was taken, then end the thread. Idempotent."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        self._queue.put(None)
        await asyncio.to_thread(thread.join)

    def _run(self, table: _Table) -> None:
        try:
            while group := self._group():
                outcome: Sequence[Receipt] | Exception
                try:
                    outcome = table.commit(group)
                except Exception as error:  # noqa: BLE001 - whatever it was, the requests are told
                    outcome = error
                # The loop is gone only when it was stopped with requests still waiting: nobody is left to be told.
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._settle, group, outcome)
        finally:
            table.close()

    def _group(self) -> list[_Delivery]:
        """Wait for a delivery and return it with those behind it; nothing when the writer is closed."""
        group: list[_Delivery] = []
        events = 0
        while events < GROUP_EVENTS:
            try:
                delivery = self._queue.get(block=not group)
            except queue.Empty:
                break
            if delivery is None:
                # Put back for the next round, which ends the thread.
                self._queue.put(None)
                break
            group.append(delivery)
            events += len(delivery.events)
        return group

    def _settle(self, group: list[_Delivery], outcome: Sequence[Receipt] | Exception) -> None:
        self._pending -= sum(len(delivery.events) for delivery in group)
        self._fault = f"arrivals cannot be stored: {one_line(outcome)}" if isinstance(outcome, Exception) else None
        for index, delivery in enumerate(group):
            if delivery.receipt.done():
                continue  # its request was cancelled
            if isinstance(outcome, Exception):
                delivery.receipt.set_exception(NotStored(one_line(outcome)))
            else:
                delivery.receipt.set_result(outcome[index])


class _Table:
    """The writing end of the table: its connection, the next arrival number, the orders of the last 24 hours. Used by
    the writer's thread.
    """

    def __init__(self, arrivals: Arrivals, now: float) -> None:
        self._next = arrivals.last() + 1
        self._window: DeduplicationWindow = arrivals.recent_orders(now)
        self._connection = arrivals.connect()
        self._appender = self._connection.appender("arrivals")

    def commit(self, group: Sequence[_Delivery]) -> list[Receipt]:
        """Store the group in one transaction, all or nothing. Raises what DuckDB raised when it failed."""
        rows: list[tuple[object, ...]] = []
        counted: list[Order] = []
        receipts = [self._append(delivery, rows, counted) for delivery in group]
        try:
            self._connection.begin()
            self._appender.append_rows(rows)
            self._appender.flush()
            self._connection.commit()
        except Exception:
            for order in counted:
                self._window.forget(order)
            self._appender.clear()
            # Where the failure has ended the transaction there is nothing to roll back.
            with suppress(duckdb.Error):
                self._connection.rollback()
            raise
        self._next += len(rows)
        return receipts

    def _append(self, delivery: _Delivery, rows: list[tuple[object, ...]], counted: list[Order]) -> Receipt:
        first = self._next + len(rows)
        ignored = 0
        arrived_at = instant(delivery.at)
        for number, event in enumerate(delivery.events, first):
            reason = event.blocked
            if reason is None and event.event_type in DEDUPLICATED and event.transaction_id is not None:
                order = Order(delivery.appspace, event.event_type, event.transaction_id)
                if self._window.seen(order, delivery.at, across_types=delivery.across_types):
                    reason = "duplicate"
                else:
                    self._window.remember(order, delivery.at)
                    counted.append(order)
            ignored += reason is not None
            # The first seven of an event's values stand in the order of the table's columns.
            rows.append((number, arrived_at, delivery.appspace, *event[:7], reason, event.raw))
        return Receipt(first, len(delivery.events), ignored)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()
