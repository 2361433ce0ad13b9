"""Whose turn it is among the exports of an account: regular pulls before history, within each whoever has waited longest."""

from __future__ import annotations

import heapq
import itertools
from typing import NamedTuple


class _Turn(NamedTuple):
    at: float
    order: int
    name: str


class Turns:
    """At most one turn for each export; setting it again replaces it. Times are Unix seconds."""

    def __init__(self) -> None:
        self._order = itertools.count()
        self._heaps: dict[bool, list[_Turn]] = {True: [], False: []}
        self._valid: dict[str, _Turn] = {}

    def set(self, name: str, at: float, *, regular: bool) -> None:
        """Give `name` its turn at `at`."""
        turn = _Turn(at, next(self._order), name)
        self._valid[name] = turn
        heapq.heappush(self._heaps[regular], turn)

    def drop(self, name: str) -> None:
        """Take the turn of `name` away, if it has one."""
        self._valid.pop(name, None)

    def take(self, now: float) -> str | None:
        """Return whose turn it is, and take it; None when it is nobody's yet."""
        for regular in (True, False):
            first = self._first(regular=regular)
            if first is not None and first.at <= now:
                heapq.heappop(self._heaps[regular])
                del self._valid[first.name]
                return first.name
        return None

    def next_at(self) -> float | None:
        """Return when the next turn is; None when there is none."""
        firsts = [first for regular in (True, False) if (first := self._first(regular=regular)) is not None]
        return min((first.at for first in firsts), default=None)

    def _first(self, *, regular: bool) -> _Turn | None:
        heap = self._heaps[regular]
        while heap and self._valid.get(heap[0].name) is not heap[0]:
            heapq.heappop(heap)
        return heap[0] if heap else None
