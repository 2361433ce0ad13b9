"""Ids and times that the gateway gives: requests, events, the moment of acceptance (DESIGN §5)."""

from __future__ import annotations

import functools
import hashlib
import os
import time
from typing import TYPE_CHECKING

from gateway.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.decode import Identified
    from runtime.clock import Clock
    from schemas.events import AnyEvent

ID_BYTES = 16
IDS_AT_ONCE = 256
LONGEST_IDEMPOTENCY_KEY = 255
HAVE_OWN_IDS = frozenset({"purchase", "refund"})
PLACES = tuple(f"-{index}".encode() for index in range(1001))
"""What stands behind the request's id in the `ce_id` of all other events: `<request>-<index>`."""


def request_ids() -> Iterator[str]:
    """Yield ids for ever: 128 random bits each, in hex. The system is asked for many at once: one call costs as much as 256 ids."""
    while True:
        block = os.urandom(ID_BYTES * IDS_AT_ONCE).hex()
        for start in range(0, len(block), 2 * ID_BYTES):
            yield block[start : start + 2 * ID_BYTES]


def repeated_request_id(storefront: str, idempotency_key: str, body: bytes) -> str:
    """Return the id that a repeated request gets again: 128 bits of SHA-256 over storefront, key and decompressed body, in hex.

    Raises Refusal (BAD_REQUEST) unless the key is 1 to 255 printable ASCII characters.
    """
    if not 1 <= len(idempotency_key) <= LONGEST_IDEMPOTENCY_KEY or not (
        idempotency_key.isascii() and idempotency_key.isprintable()
    ):
        raise Refusal("BAD_REQUEST", "Idempotency-Key must be 1 to 255 printable characters")
    return _digest(storefront.encode(), idempotency_key.encode(), body)


def own_id(storefront: str, value: bytes, event: AnyEvent | Identified) -> bytes:
    """Return the `ce_id` of an event of `HAVE_OWN_IDS`, from storefront, type and transaction id; a refund's comes from its bytes also,
    because an order may be refunded in parts.
    """
    transaction = (event.transaction_id or "").encode()
    text = _own(storefront, event.event_type) + len(transaction).to_bytes(8, "big") + transaction
    if event.event_type == "refund":
        text += len(value).to_bytes(8, "big") + value
    return hashlib.sha256(text).hexdigest()[: 2 * ID_BYTES].encode()


@functools.cache
def _own(storefront: str, event_type: str) -> bytes:
    """Return what the ids of all such events of a storefront are made of, each part with its length before it."""
    return _parts(storefront.encode(), event_type.encode())


def timestamps(clock: Clock) -> Callable[[], bytes]:
    """Return a function that gives the present time as RFC 3339, UTC, milliseconds: `2026-01-15T10:30:00.123Z`."""
    second = -1
    prefix = b""

    def now() -> bytes:
        nonlocal second, prefix
        milliseconds = int(clock.now() * 1000)
        if milliseconds // 1000 != second:
            second = milliseconds // 1000
            prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second)).encode()
        return prefix + b"%03dZ" % (milliseconds % 1000)

    return now


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(_parts(*parts)).hexdigest()[: 2 * ID_BYTES]


def _parts(*parts: bytes) -> bytes:
    """Each part is preceded by its length, so that no two lists of parts look the same."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
