"""What a gateway's edge is made of: first without a storage, with it once that is there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from broker.spool.absent import AbsentLog
from gateway.configured import PINS, Configured, topics
from gateway.edge import Edge
from gateway.intake import Intake
from gateway.limits import InFlight
from gateway.report import Reporter
from schemas.topics import REJECTED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from broker.interface import Broker, Publisher
    from gateway.storage import Storage
    from gateway.upstream import Limits
    from runtime.process import Process
    from runtime.settings import Settings

MAX_IN_FLIGHT_BYTES: Final = 64 * 1024 * 1024
MAX_IN_FLIGHT_REQUESTS: Final = 4096


class Assembly:
    """Life: construct → `edge` → `store_in`. `limits`: of what is passed through."""

    def __init__(self, settings: Settings, process: Process, broker: Broker, limits: Limits | None = None) -> None:
        self._settings = settings
        self._process = process
        self._broker = broker
        self._limits = limits
        self._in_flight = InFlight(MAX_IN_FLIGHT_BYTES, MAX_IN_FLIGHT_REQUESTS, process.metrics, process.clock)

    async def edge(self, why: Callable[[], str]) -> Edge:
        """Return an edge that judges and passes through as any does, and takes no event (NOT_DURABLE): `why`, in an operator's words."""
        # How many partitions there are is unknown, and of no importance: nothing gets that far.
        partitions = {each.name: 1 for each in topics(self._settings)}
        storefronts, passage = await self._configured(partitions).make(self._settings)
        process = self._process
        return Edge(
            self._settings.gateway,
            storefronts,
            self._intake(AbsentLog(why), partitions[REJECTED]),
            passage,
            self._in_flight,
            Reporter(process.metrics, process.log, process.clock),
            process.clock,
            process.log,
        )

    async def store_in(self, storage: Storage, edge: Edge) -> None:
        """Let `edge` accept from the next request on, with the partition counts that the topics have now: they are pinned until the process
        ends. It takes over every configuration that the process reads from now on. Raises UnknownTopic, Unavailable.
        """
        rejected = storage.partitions.get(REJECTED) or await self._broker.partitions(REJECTED)
        intake = self._intake(storage.publisher, rejected)
        configured = self._configured(storage.partitions)
        storefronts, passage = await configured.make(self._settings)
        await edge.use(self._settings.gateway, storefronts, passage, intake)
        self._process.on_reload(partial(configured.take_over, edge=edge, spool=storage.spool), PINS)

    def _configured(self, partitions: Mapping[str, int]) -> Configured:
        return Configured(self._process, self._broker, self._in_flight, self._limits, partitions)

    def _intake(self, publisher: Publisher, rejected: int) -> Intake:
        return Intake(publisher, rejected, self._in_flight.retry_after, self._process.clock, self._process.log)
