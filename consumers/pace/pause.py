"""The pause of an ingestion origin that said it was too much: until when, and who goes first after it."""

from __future__ import annotations

import math
from typing import Final

FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 30.0
_ROUNDING: Final = 1e-6


class Pause:
    """Nobody goes until it is over; then one request asks, and the others go when that was taken.

    It lasts as long as the API asked for, and at least 1 s, twice as long each time when the one that asks is refused, up
    to 30 s: so an API that does not say when its window ends is asked a few times in each. Moments are of the monotonic
    clock. Nothing here waits.

    Life: `refused` → `may_ask`, `asks` → `end`, or `ask_again` or `refused` once more.
    """

    __slots__ = ("_asking", "_refusals", "on", "until")

    def __init__(self) -> None:
        self.on = False
        """Whether there is one; also while a single request asks."""
        self.until = -math.inf
        """When that one may go."""
        self._refusals = 0
        self._asking = False

    def may_ask(self, now: float) -> bool:
        """Say whether, of all requests, one may go out now."""
        return not self._asking and now >= self.until

    def asks(self) -> None:
        """Take note that the one went out."""
        self._asking = True

    def concerns(self, began: float) -> bool:
        """Say whether a request that went out at `began` is the one that asked; whatever was out before tells nothing of now."""
        return self.on and began >= self.until - _ROUNDING

    def refused(self, now: float, began: float, asked: float, first: float = FIRST_SECONDS) -> None:
        """Begin, or go on: a request that went out at `began` was refused.

        It is not wanted again for `asked` seconds (0: nobody said). `first` is how long it lasts at least, in seconds.
        """
        if self.on and not self.concerns(began):
            self.until = max(self.until, now + asked)
            return
        self._refusals = self._refusals + 1 if self.on else 1
        self.on = True
        self._asking = False
        wait = min(LONGEST_SECONDS, first * 2.0 ** min(self._refusals - 1, 16))
        self.until = now + max(asked, wait)

    def ask_again(self) -> None:
        """Take note that the one that asked came back without a word of it, or was given up: another may."""
        self._asking = False

    def end(self) -> None:
        """Let everybody go."""
        self.on = self._asking = False
