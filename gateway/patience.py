"""How long a sender may take, and how much it may say before it comes to the point (G6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD

if TYPE_CHECKING:
    from aiohttp.streams import StreamReader


class Patience(NamedTuple):
    """`head_seconds`: from the first byte of a request's head to its last. Of a body, `stall_seconds` may pass without a byte, and after
    `grace_seconds` as many must have come as `bytes_per_second` makes of the rest of the time. Connections are looked at every
    `look_seconds`. `head_bytes`: request line and headers together.
    """

    head_seconds: float = 10.0
    stall_seconds: float = 15.0
    grace_seconds: float = 20.0
    bytes_per_second: int = 1024
    look_seconds: float = 1.0
    head_bytes: int = 32 * 1024


class SenderTooSlow(TimeoutError):
    """A body comes too slowly, or no more."""


class BodyUnreadable(web.RequestPayloadError, TimeoutError):
    """A body whose frame is broken. A TimeoutError too: that is what aiohttp, while it reads on what was refused, takes for the end."""


class BodyWatch:
    """Follows the body that a connection is receiving. Time is the event loop's."""

    __slots__ = ("_began", "_body", "_bytes", "_moved")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew with the next look: what kept the body was not its sender."""
        self._body: StreamReader = EMPTY_PAYLOAD
        self._began = 0.0
        self._moved = 0.0
        self._bytes = 0

    def too_slow(self, body: StreamReader, now: float, patience: Patience) -> bool:
        """Return whether the body, which has not ended, comes more slowly than it may."""
        if body is not self._body:
            self._body = body
            self._began = self._moved = now
            self._bytes = body.total_bytes
            return False
        if body.total_bytes != self._bytes:
            self._bytes = body.total_bytes
            self._moved = now
        if now - self._moved >= patience.stall_seconds:
            return True
        return self._bytes < (now - self._began - patience.grace_seconds) * patience.bytes_per_second
