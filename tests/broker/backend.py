"""What the contract suite needs of an implementation: brokers on one log, each as if in a process of its own."""

from __future__ import annotations

import sys
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import structlog

from broker.factory import open_broker
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from schemas.topics import DAY_MS, MIB, TopicSpec

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

    from broker.interface import Broker
    from runtime.settings import BrokerSettings


def quiet_log() -> FilteringBoundLogger:
    """Return a logger whose lines pytest shows of a failed test."""
    processors: list[Processor] = [structlog.processors.add_log_level, structlog.processors.KeyValueRenderer()]
    logger: FilteringBoundLogger = structlog.wrap_logger(structlog.PrintLogger(sys.stderr), processors=processors)
    return logger


@dataclass
class Backend:
    """One log, which `settings` name. Topics and groups get names of their own, for a log may be shared by many tests."""

    settings: BrokerSettings
    _brokers: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def open(self) -> Broker:
        """Return one more started broker on the log; it is closed with the backend."""
        broker = open_broker(self.settings, Metrics(), quiet_log(), SystemClock())
        return await self._brokers.enter_async_context(broker)

    def spec(
        self,
        partitions: int = 1,
        *,
        cleanup: Literal["delete", "compact"] = "delete",
        prefix: str = "ecommerce.events",
        max_message_bytes: int = 2 * MIB,
    ) -> TopicSpec:
        """Return the specification of a topic that no other test knows."""
        name = f"{prefix}.{uuid.uuid4().hex[:12]}"
        # The log's own timestamps are what event topics have and exports have not (RECORDS §1).
        log_append_time = prefix == "ecommerce.events"
        return TopicSpec(name, partitions, cleanup, DAY_MS, max_message_bytes, log_append_time=log_append_time)

    async def topic(self, broker: Broker, partitions: int = 1, *, prefix: str = "ecommerce.events") -> str:
        """Create a topic that no other test knows; return its name."""
        spec = self.spec(partitions, prefix=prefix)
        assert await broker.ensure_topics([spec]) == []
        return spec.name

    def group(self) -> str:
        """Return the name of a group that no other test knows."""
        return f"group-{uuid.uuid4().hex[:12]}"

    async def close(self) -> None:
        """Close every broker that was opened."""
        await self._brokers.aclose()
