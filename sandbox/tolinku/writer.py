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
from sandbox.tolinku.deletions import Deletions, Wish

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
    user_agent: str | None
    at: float
    receipt: asyncio.Future[Receipt]


@dataclass(slots=True)
class _Deletion:
    appspace: str
    user_id: str
    receipt: asyncio.Future[Receipt]
    events: Sequence[Measured] = ()


class Writer:
    """Stores events, and removes a user's. Life: `start` (in the event loop's thread) → `store`, `remove` … → `close`.

    Requests are taken in the order of the calls; so are their arrivals numbered.
    """

    def __init__(self, arrivals: Arrivals, clock: Clock) -> None:
        self._arrivals = arrivals
        self._clock = clock
        self._queue: queue.SimpleQueue[_Delivery | _Deletion | None] = queue.SimpleQueue()
        self._pending = 0
        self._fault: str | None = None
        self._removal_fault: str | None = None
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Read where the table stands and start the thread. Waits for the disk."""
        self._loop = asyncio.get_running_loop()
        table = await asyncio.to_thread(_Table, self._arrivals, self._clock.now())
        self._thread = threading.Thread(target=self._run, args=(table,), name="sandbox-writer")
        self._thread.start()

    async def store(
        self, appspace: str, events: Sequence[Measured], *, across_types: bool, user_agent: str | None = None
    ) -> Receipt:
        """Store `events` (at least one) and return when they are committed. `across_types`: a refund is a duplicate
        of its purchase; `user_agent`: the request's, if it is to be kept.

        Raises Overloaded at once, NotStored when the commit failed. A caller who is cancelled does not take the
        events back.
        """
        if self._pending + len(events) > PENDING_EVENTS:
            raise Overloaded("too many events are waiting for the disk")
        receipt: asyncio.Future[Receipt] = self._loop.create_future()
        self._pending += len(events)
        self._queue.put(_Delivery(appspace, events, across_types, user_agent, self._clock.now(), receipt))
        return await receipt

    async def remove(self, appspace: str, user_id: str) -> None:
        """Have the events removed that the user sent until now; return when that is sure to happen, within moments.

        Raises NotStored when it could not be written down.
        """
        receipt: asyncio.Future[Receipt] = self._loop.create_future()
        self._queue.put(_Deletion(appspace, user_id, receipt))
        await receipt

    def fault(self) -> str | None:
        """Return why the last commit or removal failed, None when none did."""
        return self._fault or self._removal_fault

    async def close(self) -> None:
        """Commit what was taken, then end the thread. Idempotent."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        self._queue.put(None)
        await asyncio.to_thread(thread.join)

    def _run(self, table: _Table) -> None:
        try:
            self._removal_fault = table.remove()
            while group := self._group():
                outcome: Sequence[Receipt] | Exception
                try:
                    outcome = table.commit(group)
                except Exception as error:  # noqa: BLE001 - whatever it was, the requests are told
                    outcome = error
                # The loop is gone only when it was stopped with requests still waiting: nobody is left to be told.
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._settle, group, outcome)
                self._removal_fault = table.remove()
        finally:
            table.close()

    def _group(self) -> list[_Delivery | _Deletion]:
        """Wait for a request and return it with those behind it; nothing when the writer is closed."""
        group: list[_Delivery | _Deletion] = []
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

    def _settle(self, group: list[_Delivery | _Deletion], outcome: Sequence[Receipt] | Exception) -> None:
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
        self._deletions = Deletions(self._connection)

    def commit(self, group: Sequence[_Delivery | _Deletion]) -> list[Receipt]:
        """Store the group in one transaction, all or nothing. Raises what DuckDB raised when it failed."""
        rows: list[tuple[object, ...]] = []
        counted: list[Order] = []
        wishes: list[Wish] = []
        receipts: list[Receipt] = []
        for request in group:
            if isinstance(request, _Deletion):
                last = self._next + len(rows) - 1
                wishes.append(Wish(request.appspace, request.user_id, last))
                receipts.append(Receipt(last, 0, 0))
            else:
                receipts.append(self._append(request, rows, counted))
        try:
            self._connection.begin()
            self._appender.append_rows(rows)
            self._appender.flush()
            self._deletions.write(wishes)
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

    def remove(self) -> str | None:
        """Remove what users want removed, and return why that failed, None when it did not: then it is still to do."""
        try:
            self._deletions.carry_out()
        except duckdb.Error as error:
            return f"users' events cannot be removed: {one_line(error)}"
        return None

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
            rows.append(
                (
                    number,
                    arrived_at,
                    delivery.appspace,
                    *event[:7],
                    reason,
                    event.raw,
                    None if reason else event.flagged,
                    delivery.user_agent,
                )
            )
        return Receipt(first, len(delivery.events), ignored)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()
