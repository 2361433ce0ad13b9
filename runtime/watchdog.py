"""The last resort of a process that was asked to end: it does end, whatever its event loop and its threads do."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Watchdog:
    """Once armed, ends the process with code 1 after `seconds`, unless it ended before; `last` is called just before that.

    Cancelling helps neither a task that refuses it, nor a blocked event loop, nor a thread that never returns: the interpreter would wait
    for them without end. The thread that watches is made beforehand, because `arm` is called by a signal's handler, which may have
    interrupted the making of another thread.
    """

    def __init__(self, seconds: float, last: Callable[[], None]) -> None:
        self._seconds = seconds
        self._last = last
        self._armed = threading.Event()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def arm(self) -> None:
        """Start the countdown. Only the first call counts."""
        self._armed.set()

    def _watch(self) -> None:
        self._armed.wait()
        threading.Event().wait(self._seconds)
        self._last()
        os._exit(1)
