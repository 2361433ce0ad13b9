"""SIGTERM and SIGINT: the first asks, the second ends. SIGHUP: the configuration is read again."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """While entered, the first SIGTERM or SIGINT asks the process to stop and the second ends it. For the main thread only.

    The first calls `first` with its number, the second calls `last` and leaves with 128 + its number, without any clean-up. Both are called
    by the interpreter's handler, in the middle of whatever runs, not by the event loop: one that is stuck in Python
    code can still be ended.
    """

    def __init__(self, first: Callable[[signal.Signals], None], last: Callable[[], None]) -> None:
        self._first = first
        self._last = last
        self._asked = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        """Take the signals over."""
        self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._asked:
            self._last()
            os._exit(128 + number)
        self._asked = True
        self._first(signal.Signals(number))


class HungUp(Protocol):
    """What SIGHUP calls. `for_good`: it came because the terminal was closed that the process was started at."""

    def __call__(self, *, for_good: bool) -> None:
        """Take note. Called by the interpreter's handler, in the middle of whatever runs."""


class HangUp:
    """While entered, SIGHUP calls `hung_up` and does nothing else; None: it is left to do what it did. For the main thread only."""

    def __init__(self, hung_up: HungUp | None) -> None:
        self._hung_up = hung_up
        self._at_terminal = False
        self._before: object = None

    def __enter__(self) -> Self:
        """Take the signal over."""
        if self._hung_up is not None:
            self._at_terminal = _at_terminal()
            self._before = signal.signal(signal.SIGHUP, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the signal back."""
        if self._hung_up is not None:
            signal.signal(signal.SIGHUP, self._before)  # type: ignore[arg-type]  # what signal.signal returned

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        assert self._hung_up is not None  # noqa: S101  # entered with it
        self._hung_up(for_good=self._at_terminal and not _at_terminal())


def _at_terminal() -> bool:
    return os.isatty(0)
