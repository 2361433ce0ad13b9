"""How much of a storefront may be dead-lettered before a person is to look at it (arroyo's `DlqLimit`, for each storefront)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.settings import ForwarderSettings


class Excess(NamedTuple):
    """What was too much: so many `dead_letters` among the last `events`, `run` of them in a row, the one held back included.

    `error`: the API's words about that one.
    """

    dead_letters: int
    events: int
    run: int
    error: str


class Window(NamedTuple):
    """What a limit has counted: `letters` among the last `events`, `run` of them in a row at the end."""

    events: int
    letters: int
    run: int


class DeadLetterLimit:
    """Decides, before an event is dead-lettered, whether it may be. Nothing here waits.

    A bad deploy at either end makes the API refuse everything: without a limit the whole topic would end up among the
    dead letters. Allowed are `dead_letter_ratio` of the last `dead_letter_window` events, and `dead_letter_run` in a row.
    The ratio is taken of the whole window also while fewer events were seen: a handful of poison parks no quiet shop.

    The first event that would be too many is held, and everything refused after it, until `reset`; `exceeded` is told
    once. What is held is no dead letter and in no count. The count is this process's own; it goes on from what was `inherit`ed,
    so that a process that is restarted again and again buries no more than one that lives.
    """

    def __init__(self, settings: ForwarderSettings, exceeded: Callable[[Excess], None]) -> None:
        self._window = settings.dead_letter_window
        # A tenth of a thousand, as a float, must not come out as 99.
        self._most = int(settings.dead_letter_ratio * settings.dead_letter_window + 1e-6)
        self._longest_run = settings.dead_letter_run
        self._exceeded = exceeded
        self._is_exceeded = False
        self._seen = 0
        self._run = 0
        # Which of the events seen were dead letters: at most as many as are allowed.
        self._letters: deque[int] = deque()
        # How many of those seen were another process's.
        self._inherited = 0
        self._buries = False

    @property
    def window(self) -> Window | None:
        """What is counted by now, for whoever goes on after this process; None while no dead letter ever was."""
        if not self._buries:
            return None
        self._forget_old()
        return Window(min(self._seen, self._window), len(self._letters), self._run)

    @property
    def has_begun(self) -> bool:
        """Whether this process has counted anything itself."""
        return self._seen > self._inherited or self._is_exceeded

    def inherit(self, window: Window) -> None:
        """Go on from what another process had counted, in place of what was inherited before; for a limit that has not begun.

        Its dead letters count as spread evenly over its events, but for those of the run. Numbers that cannot be are cut to size.
        """
        events = self._seen = self._inherited = min(window.events, self._window)
        run = self._run = min(window.run, self._longest_run)
        letters = min(window.letters, self._most, events)
        # Of those in a row only the last may still be in the window.
        last = min(run, letters)
        spread = letters - last
        self._letters = deque((events - last) * (index + 1) // spread - 1 for index in range(spread))
        self._letters.extend(range(events - last, events))
        self._buries = True

    def delivered(self, count: int) -> None:
        """Take note that events were delivered."""
        self._seen += count
        self._run = 0

    def allowed(self, sent: int, refused: Mapping[int, str]) -> set[int]:
        """Take note of what became of the `sent` events of a request; return which of the `refused` may be dead-lettered.

        `refused`: the API's words about each, by its index, which is below `sent`; all others were delivered.
        """
        allowed: set[int] = set()
        before = -1
        for index in sorted(refused):
            if index > before + 1:
                self.delivered(index - before - 1)
            before = index
            if self._takes(refused[index]):
                allowed.add(index)
        if sent > before + 1:
            self.delivered(sent - before - 1)
        return allowed

    def reset(self) -> None:
        """Count anew: as much may be dead-lettered as at the start."""
        self._is_exceeded = False
        self._seen = self._inherited = 0
        self._run = 0
        self._letters.clear()

    def _takes(self, words: str) -> bool:
        if self._is_exceeded:
            return False
        self._forget_old()
        if len(self._letters) < self._most and self._run < self._longest_run:
            self._letters.append(self._seen)
            self._buries = True
            self._seen += 1
            self._run += 1
            return True
        self._is_exceeded = True
        self._exceeded(Excess(len(self._letters) + 1, min(self._seen + 1, self._window), self._run + 1, words))
        return False

    def _forget_old(self) -> None:
        while self._letters and self._letters[0] <= self._seen - self._window:
            self._letters.popleft()
