"""What waits for the writer's thread: appends and other work, each with a future."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection

    from broker.embedded.chunk import Piece
    from broker.embedded.pending import Pending

T = TypeVar("T")


class Append:
    """Messages for one partition, encoded. A plain slotted class: the hot path makes thousands of them a second.

    `pending` is told when its fate is known. `taken` says that the writer is at it, or that a failed commit left it in doubt;
    `withdrawn` that its caller was told so. Both change under the writer's lock.
    """

    __slots__ = ("future", "partition", "pending", "pieces", "queued_at", "records", "size", "taken", "withdrawn")

    def __init__(
        self, partition: int, pieces: list[Piece], future: asyncio.Future[None], pending: Pending, queued_at: float
    ) -> None:
        self.partition = partition
        self.pieces = pieces
        self.future = future
        self.pending = pending
        self.queued_at = queued_at
        self.records = sum(piece.records for piece in pieces)
        self.size = sum(len(piece.body) for piece in pieces)
        self.taken = False
        self.withdrawn = False

    def drop(self) -> None:
        """Free what is not going to be written: the entry itself stays queued until the writer comes to it."""
        self.pieces = []

    def settle(self) -> None:
        """Tell the caller that it is on stable storage. Runs in the event loop."""
        self.pending.remove(self)
        if not self.future.done():
            self.future.set_result(None)

    def fail(self, error: Exception) -> None:
        """Tell the caller that it is not. Runs in the event loop."""
        self.pending.remove(self)
        if not self.future.done():
            self.future.set_exception(error)


class Work(Generic[T]):
    """Anything else that writes: `run` is called in the writer's thread, again when it raised sqlite3.Error.

    It writes in one transaction, which it begins and commits. What else it raises, its caller gets. `marks`: which partitions have new
    records afterwards.
    """

    __slots__ = ("_error", "_result", "_run", "future", "marks", "queued_at", "records", "size", "taken", "withdrawn")

    def __init__(
        self,
        run: Callable[[sqlite3.Connection], T],
        future: asyncio.Future[T],
        queued_at: float,
        marks: Collection[int] = (),
    ) -> None:
        self._run: Callable[[sqlite3.Connection], T] | None = run
        self.future = future
        self.queued_at = queued_at
        self.marks = marks
        self.records = 0
        self.size = 0
        self.taken = False
        self.withdrawn = False
        self._result: T | None = None
        self._error: Exception | None = None

    def drop(self) -> None:
        """Free what is not going to be run."""
        self._run = None

    def attempt(self, connection: sqlite3.Connection) -> None:
        """Run; remember what came out. Raises sqlite3.Error only."""
        try:
            self._result, self._error = None if self._run is None else self._run(connection), None
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001  # it is its caller's
            self._error = error

    def settle(self) -> None:
        """Tell the caller what came of it: it is on stable storage. Runs in the event loop."""
        if self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)  # type: ignore[arg-type]  # attempt ran: this is what it returned

    def fail(self, error: Exception) -> None:
        """Tell the caller that it was not written. Runs in the event loop."""
        if not self.future.done():
            self.future.set_exception(error)


Entry: TypeAlias = "Append | Work[object]"
