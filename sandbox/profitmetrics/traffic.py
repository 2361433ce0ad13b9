"""What was asked, for tests to look at, and how many requests are under way."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from sandbox.profitmetrics.refusals import BUSY_STATUS, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.clock import Clock
    from sandbox.profitmetrics.switches import Switches

KEPT: Final = 1_000
KEPT_BYTES: Final = 16_384
"""Of a body; a longer one is not kept."""


def alias(key: str) -> str:
    """Return what a key is called where it must not be shown."""
    return hashlib.blake2b(key.encode(), digest_size=6).hexdigest()


@dataclass(slots=True)
class Visit:
    """One request. `status` None: it is under way, or its sender saw no answer to its end. Times in seconds since 1970."""

    path: str
    key: str | None
    body: bytes
    began: float
    ended: float | None = None
    status: int | None = None
    code: str | None = None
    reason: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return it as the fault port shows it."""
        try:
            body = orjson.loads(self.body) if self.body else None
        except orjson.JSONDecodeError:
            body = self.body.decode(errors="replace")
        shown = {"began": self.began, "ended": self.ended, "path": self.path, "key": self.key, "body": body}
        return {**shown, "status": self.status, "code": self.code, "reason": self.reason}


class Traffic:
    """Counts requests, keeps the last ones, and holds the limits of how many are under way."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._present: Counter[str | None] = Counter()  # as tests see it: every request from its arrival on
        self._working: Counter[str] = Counter()  # as the limits see it
        self.clear()

    def clear(self) -> None:
        """Forget what was asked; what is under way still counts as such."""
        self._last: deque[Visit] = deque(maxlen=KEPT)
        self._count = 0
        self._most = self._present.total()
        self._most_by_key = Counter({key: count for key, count in self._present.items() if count})
        self._by_key: Counter[str | None] = Counter()
        self._statuses: Counter[str] = Counter()
        self._paths: Counter[str] = Counter()

    @contextmanager
    def visit(self, path: str, key: str | None, body: bytes) -> Iterator[Visit]:
        """Write a request down; who handles it sets its status. Leave when it has ended."""
        name = None if key is None else alias(key)
        visit = Visit(path, name, body if len(body) <= KEPT_BYTES else b"", self._clock.now())
        self._last.append(visit)
        self._count += 1
        self._by_key[name] += 1
        self._paths[path] += 1
        self._present[name] += 1
        self._most = max(self._most, self._present.total())
        self._most_by_key[name] = max(self._most_by_key[name], self._present[name])
        try:
            yield visit
        finally:
            self._present[name] -= 1
            visit.ended = self._clock.now()
            self._statuses[str(visit.status)] += 1

    @contextmanager
    def place(self, key: str, switches: Switches) -> Iterator[None]:
        """Hold one of the places that the limits leave. Raises Refused, 599 TIMEOUT, where there is none."""
        if self._working[key] >= switches.concurrency_per_key or self._working.total() >= switches.concurrency:
            wait = switches.busy_retry_after
            headers = None if wait is None else {"Retry-After": str(wait)}
            raise Refused(BUSY_STATUS, "TIMEOUT", "too many requests are under way", headers=headers)
        self._working[key] += 1
        try:
            yield
        finally:
            self._working[key] -= 1

    def describe(self, last: int) -> dict[str, Any]:
        """Return the counts and the `last` requests, oldest first."""
        keys = {
            str(name): {"requests": count, "at_once": self._present[name], "most_at_once": self._most_by_key[name]}
            for name, count in self._by_key.items()
        }
        return {
            "requests": self._count,
            "at_once": self._present.total(),
            "most_at_once": self._most,
            "keys": keys,
            "paths": self._paths,
            "statuses": self._statuses,
            "last": [visit.describe() for visit in list(self._last)[-last:]] if last else [],
        }
