"""What a spool knows of the Kafka that it is for: enough to accept events while that is away, and not to drain into another."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec

from broker.interface import Unavailable
from runtime.errors import OperatorError

if TYPE_CHECKING:
    from pathlib import Path

_NAME: Final = "kafka.json"


class ForAnotherKafka(OperatorError):
    """What is spooled is not for the Kafka that the configuration names."""


class Memory(msgspec.Struct, frozen=True):
    """`cluster` is Kafka's own id of itself, `partitions` how many each topic had when a gateway last asked."""

    cluster: str
    partitions: dict[str, int]


def recall(spool: Path) -> Memory | None:
    """Return what the spool in this directory knows; None when it never met a Kafka. Blocks. Raises OSError, Unavailable."""
    try:
        text = (spool / _NAME).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(text, type=Memory)
    except msgspec.DecodeError as error:
        raise Unavailable(f"{spool / _NAME} is not what a gateway wrote ({error}): remove it") from None


def remember(spool: Path, memory: Memory) -> None:
    """Let the spool know this from now on, whatever becomes of the machine. Blocks. Raises OSError; then it knows what it knew."""
    fresh = spool / f"{_NAME}.{os.getpid()}"
    try:
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(memory))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(spool / _NAME)
    finally:
        fresh.unlink(missing_ok=True)
    directory = os.open(spool, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
