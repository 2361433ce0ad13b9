"""Who waits for a turn to send to one ingestion origin, and who goes first."""

from __future__ import annotations

from typing import Final

_INTEREST_SECONDS: Final = 1.0


class Line:
    """Members stand in it for as long as they ask, and go to its end when they have sent: so those who want much have equal shares.

    Who has not asked for a second has lost interest, and holds nobody up. Moments are of the monotonic clock. Nothing here
    waits.
    """

    __slots__ = ("_asked",)

    def __init__(self) -> None:
        # Each with the moment at which it last asked; in their order.
        self._asked: dict[object, float] = {}

    def __bool__(self) -> bool:
        """Whether anybody stands in it."""
        return bool(self._asked)

    def ask(self, member: object, now: float) -> None:
        """Let `member` stand in line, in its place if it has one."""
        self._asked[member] = now

    def leave(self, member: object) -> None:
        """Let it go, if it stands there."""
        if self._asked:
            self._asked.pop(member, None)

    def before(self, member: object, now: float) -> int:
        """Return how many go before `member`."""
        if not self._asked:
            return 0
        since = now - _INTEREST_SECONDS
        count = 0
        for each, asked_at in self._asked.items():
            if each is member:
                break
            count += asked_at >= since
        return count
