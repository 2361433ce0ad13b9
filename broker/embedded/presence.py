"""Whether the owner of a subscription is still there, as its heartbeat thread sees it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.embedded.timing import Timing
    from runtime.clock import Clock


class Presence:
    """Written by the event loop, read by a thread: single assignments, no lock."""

    def __init__(self, timing: Timing, clock: Clock) -> None:
        self._timing = timing
        self._clock = clock
        self._until = clock.monotonic() + timing.poll_timeout

    @contextmanager
    def polling(self) -> Iterator[None]:
        """Within `poll` the owner is there for as long as it waits; afterwards it has `poll_timeout` to come back."""
        self._until = float("inf")
        try:
            yield
        finally:
            self._until = self._clock.monotonic() + self._timing.poll_timeout

    @contextmanager
    def rebalancing(self) -> Iterator[None]:
        """Within the listener it has `rebalance_timeout`."""
        before = self._until
        self._until = self._clock.monotonic() + self._timing.rebalance_timeout
        try:
            yield
        finally:
            self._until = before

    def shows_life(self, now: float) -> bool:
        """Say whether the owner is there or may still come back."""
        return now <= self._until
