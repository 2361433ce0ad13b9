"""Opening the log that the configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.embedded.broker import EmbeddedBroker

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from broker.interface import Broker
    from runtime.clock import Clock
    from runtime.metrics import Metrics
    from runtime.settings import BrokerSettings


def open_broker(settings: BrokerSettings, metrics: Metrics, log: FilteringBoundLogger, clock: Clock) -> Broker:
    """Return the broker of `settings.kind`, not started: `async with` starts and closes it. Does not wait."""
    if settings.kind == "embedded":
        return EmbeddedBroker(settings.path, metrics, log, clock)
    # Whoever runs on the embedded log need not wait for the Kafka client to be imported.
    from broker.kafka.broker import KafkaBroker  # noqa: PLC0415

    return KafkaBroker(settings, metrics, log, clock)
