"""What the lanes of one publisher have in common: the time, what may wait, when Kafka last said yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.interface import BrokerError
    from broker.kafka.calls import Call, Flight
    from runtime.clock import Clock
    from runtime.metrics import Metrics


class Ledger:
    """`pending_bytes` is what was taken and is neither answered nor out of memory yet."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self.now = clock.monotonic
        self._wall = clock.now
        self._seconds = metrics.broker_append_seconds
        self.pending_bytes = 0
        self.last_acknowledgement = float("-inf")
        self.last_refusal = float("-inf")
        self.refusal: BrokerError | None = None

    def milliseconds(self) -> int:
        """Return the time for a record; milliseconds since the epoch."""
        return int(self._wall() * 1000)

    def settled(self, call: Call) -> None:
        """Note that nothing holds the call's messages any more."""
        self.pending_bytes -= call.size

    def acknowledged(self, flight: Flight) -> None:
        """Note that a batch is durable."""
        self.last_acknowledgement = now = self.now()
        self._seconds.observe(now - flight.begun)

    def refused(self, error: BrokerError) -> None:
        """Note that Kafka refuses records."""
        self.last_refusal = self.now()
        self.refusal = error
