"""A single event that something before the API refuses, such as a firewall that takes its text for an attack."""

from __future__ import annotations

from typing import Final

ENOUGH: Final = 10
"""After so many refusals that others of its storefront passed by, an event is given up: about a minute where events flow."""


class Refusals:
    """How often it was refused, and whether that is about the event itself: others were delivered in between.

    When nothing passes, it may be our address that is refused, and no event is to blame.
    """

    __slots__ = ("_beside", "_delivered", "count")

    def __init__(self) -> None:
        self.count = 0
        self._beside = 0
        self._delivered: int | None = None

    def add(self, delivered: int) -> bool:
        """Take note of one more, when so many requests of the storefront were delivered; return whether the event is to be given up."""
        self.count += 1
        if self._delivered is not None and delivered > self._delivered:
            self._beside += 1
        self._delivered = delivered
        return self._beside >= ENOUGH
