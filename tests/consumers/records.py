"""Records as the brokers hand them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.offsets.tracker import Tracker


class Read(NamedTuple):
    """A record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def record(
    offset: int,
    key: bytes | None = None,
    value: bytes | None = b"{}",
    *,
    partition: int = 0,
    topic: str = "ecommerce.events.acme",
    headers: tuple[tuple[str, bytes], ...] = (),
) -> Read:
    return Read(topic, partition, offset, 1_800_000_000_000, key, value, headers)


def read(tracker: Tracker, records: Sequence[Read]) -> None:
    """Records are read from a tracker's partition."""
    tracker.add(records, sum(len(each.value or b"") for each in records))
