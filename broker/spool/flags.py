"""Which lanes are spooled, as all processes of a gateway see it."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

LANES: Final = 65_536
"""How many lanes there can be: one byte for each partition that a spool ever had."""


OPEN: Final = 0
"""What comes for the lane goes to Kafka: nothing of it is spooled."""
SPOOLED: Final = 1
"""What comes goes behind what is spooled."""
CLOSING: Final = 2
"""What comes waits, for milliseconds, until the last that is spooled is drained. Under load a lane would otherwise never be empty."""


class Flags:
    """A byte for each lane in memory that processes share: OPEN, SPOOLED or CLOSING.

    Nothing of it has to survive the machine: at start a lane that holds something is SPOOLED.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, which is made where it is missing. Blocks. Raises OSError."""
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, LANES)
            self._bytes = mmap.mmap(descriptor, LANES)
        finally:
            os.close(descriptor)

    def __getitem__(self, lane: int) -> int:
        """Return how the lane is."""
        return self._bytes[lane]

    def spool(self, lane: int) -> None:
        """Send what comes for the lane to the spool."""
        self._bytes[lane] = SPOOLED

    def keep(self, lane: int) -> None:
        """See that the lane is not OPEN: something was appended to it. Where it is CLOSING, that is drained too."""
        if self._bytes[lane] == OPEN:
            self._bytes[lane] = SPOOLED

    def close_in(self, lane: int) -> None:
        """Let what comes wait. Only for who drains the lane."""
        self._bytes[lane] = CLOSING

    def open(self, lane: int) -> None:
        """Send what comes to Kafka again. Only for who drains the lane, while nobody can append to it and nothing is in it."""
        self._bytes[lane] = OPEN

    def close(self) -> None:
        """Give the memory back."""
        self._bytes.close()
