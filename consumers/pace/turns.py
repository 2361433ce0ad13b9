"""Requests of one storefront that are to be sent again, and in which order they, and new ones, go."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

_URGENT: Final = 0
_WAITING: Final = 1
_NEW: Final = 2


class Turns:
    """The urgent go first, then whoever else waits, in the order in which they came, then what is new.

    As probes the three take turns, the urgent first of all: a batch that never succeeds must not keep its storefront
    closed. Nothing here waits.
    """

    def __init__(self) -> None:
        self._queues: tuple[deque[asyncio.Future[bool]], ...] = (deque(), deque())
        self._next_probe = _URGENT

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return any(self._queues)

    def add(self, future: asyncio.Future[bool], *, urgent: bool) -> None:
        """Let `future` wait; whoever takes it from here sets its result."""
        self._queues[_URGENT if urgent else _WAITING].append(future)

    def discard(self, future: asyncio.Future[bool]) -> None:
        """Let it wait no longer, if it still does."""
        for queue in self._queues:
            if future in queue:
                queue.remove(future)

    def rest_begins(self) -> None:
        """Make the urgent the next probe."""
        self._next_probe = _URGENT

    def take(self, *, new: bool, probe: bool) -> asyncio.Future[bool] | None:
        """Return who is next; None when nobody waits, or when it is a new request's turn (`new`: there is one)."""
        turn = self._turn(new=new, probe=probe)
        if turn == _NEW:
            return None
        if probe:
            self._next_probe = turn + 1
        return self._queues[turn].popleft()

    def new_probe(self) -> None:
        """Take note that a new request is the probe."""
        self._next_probe = _URGENT

    def _turn(self, *, new: bool, probe: bool) -> int:
        first = self._next_probe if probe else _URGENT
        for turn in (first, first + 1, first + 2):
            place = turn % 3
            if (new and probe) if place == _NEW else self._queues[place]:
                return place
        return _NEW
