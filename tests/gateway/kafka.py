"""What stands for a Kafka in the gateway's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.embedded.broker import EmbeddedBroker
from broker.interface import Unavailable
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from tests.broker.backend import quiet_log

if TYPE_CHECKING:
    from pathlib import Path


class Kafka(EmbeddedBroker):
    """A log that is away until it is there, and that has a name."""

    def __init__(self, path: Path, *, away: bool = False, name: str = "kafka-a") -> None:
        super().__init__(str(path), Metrics(), quiet_log(), SystemClock())
        self.away = away
        self._name = name

    async def start(self) -> None:
        if self.away:
            raise Unavailable("Kafka cannot be reached: it is away")
        await super().start()

    async def identity(self) -> str:
        return self._name
