"""What stands in a topic, and short ways to say what to put there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.interface import Broker, Message, Record


def message(value: bytes | None, key: bytes | None = b"key") -> Message:
    """Return a message without headers."""
    return (key, value, ())


def numbered(first: int, count: int) -> list[Message]:
    """Return messages whose values are the numbers from `first` on."""
    return [message(b"%d" % n) for n in range(first, first + count)]


async def contents(broker: Broker, topic: str, partition: int | None = None) -> list[Record]:
    """Return every record of a topic or of one partition."""
    return [record async for record in broker.read(topic, partition=partition)]


async def values(broker: Broker, topic: str, partition: int | None = None) -> list[bytes | None]:
    """Return every value of a topic or of one partition."""
    return [record.value for record in await contents(broker, topic, partition)]
