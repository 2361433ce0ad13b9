"""What a vendor answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Final

import orjson

from scheduler.errors import Retryable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from scheduler.body import Body
    from scheduler.errors import PullError

MAX_DOCUMENT_BYTES: Final = 16 * 1024 * 1024
_SHOWN: Final = 80
TRACE_HEADERS: Final = ("x-request-id", "x-trace-id", "x-amzn-trace-id", "cf-ray", "traceparent")
"""Where vendors, and what stands before them, say how they call a request; the first that is there counts."""


class Reply:
    """A whole answer, staged. `headers` are looked up in any case; `received_at`: when it began to arrive, aware, UTC.

    `faults`: what its reader finds wrong with a part of it while the rest is good, for the log.

    Whoever was given it may read until its `async with` ends.
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: Body, received_at: datetime) -> None:
        self.status = status
        self.headers = headers
        self.received_at = received_at
        self.faults: list[PullError] = []
        self._body = body

    @property
    def size(self) -> int:
        """How many bytes the body has, decompressed."""
        return self._body.size

    @property
    def trace_id(self) -> str | None:
        """What the vendor's support finds the request by; None when the answer names nothing."""
        return next((self.headers[name] for name in TRACE_HEADERS if self.headers.get(name)), None)

    def document(self) -> Any:
        """Return the body as JSON. Raises Retryable for what is none, and for more than 16 MiB: `open` is for that.

        Reads the disk beyond 1 MiB, and takes some 10 ms per MiB: call it in a thread where much is expected.
        """
        if self.size > MAX_DOCUMENT_BYTES:
            raise Retryable(
                f"the answer is no document but a stream: {self.size} bytes, more than {MAX_DOCUMENT_BYTES}"
            )
        with self.open() as file:
            body = file.read()
        if not body:
            raise Retryable(f"the answer ({self.status}) is empty where JSON was expected")
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            kind = self.headers.get("Content-Type", "no type")[:_SHOWN]
            raise Retryable(f"the answer ({self.status}, {kind}) is no JSON: {error}") from error

    def open(self) -> BinaryIO:
        """Return the body as a file, from its start, to be read and closed in one thread; each call returns another."""
        return self._body.open()

    def excerpt(self, n: int = 4096) -> str:
        """Return the first `n` bytes as text, for logs; what is no UTF-8 is replaced, and "…" says that there is more."""
        with self.open() as file:
            text = file.read(n).decode(errors="replace")
        return text if self.size <= n else f"{text}…"

    def close(self) -> None:
        """Free the body. Idempotent."""
        self._body.close()
