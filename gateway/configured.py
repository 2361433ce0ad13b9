"""What the configuration decides of a gateway: its topics, its storefronts, what it passes through; and how a new one is taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from broker.interface import Unavailable
from broker.startup import ensured
from gateway.limits import TokenBucket
from gateway.passage import Passage
from gateway.storefronts import Storefronts
from runtime.settings import BrokerSettings
from schemas.events import EVENT_TYPES
from schemas.topics import events_spec, events_topic, rejected_spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.interface import Broker
    from broker.spool.spool import Spool
    from gateway.edge import Edge
    from gateway.limits import InFlight
    from gateway.upstream import Limits
    from runtime.process import Process
    from runtime.settings import Settings
    from schemas.topics import TopicSpec

_FOR_NEW_TOPICS: Final = frozenset({"partitions", "create_topics"})
PINS: Final = (
    *(f"broker.{name}" for name in BrokerSettings.model_fields if name not in _FOR_NEW_TOPICS),
    *(f"gateway.{name}" for name in ("host", "port", "workers", "spool_path", "spool_max_bytes")),
)
"""The keys that a gateway keeps as it was started with them."""


def topics(settings: Settings) -> list[TopicSpec]:
    """Return the topics that a gateway writes to."""
    count = settings.broker.partitions
    return [
        *(events_spec(each.name, each.partitions or count) for each in settings.storefronts),
        rejected_spec(count),
    ]


class _Rate(NamedTuple):
    per_second: int
    burst: int


class Configured:
    """Makes of settings what an edge works with. What stays the same from one configuration to the next is kept: the partition counts of
    the topics until the process ends, and the bucket of a limit that did not change. `partitions`: counts that are known, by topic.
    """

    def __init__(
        self,
        process: Process,
        broker: Broker,
        in_flight: InFlight,
        limits: Limits | None,
        partitions: Mapping[str, int],
    ) -> None:
        self._process = process
        self._broker = broker
        self._in_flight = in_flight
        self._limits = limits
        self._known = partitions
        self._partitions: dict[str, int] = {}
        self._buckets: dict[str, tuple[_Rate, TokenBucket]] = {}

    async def make(self, settings: Settings) -> tuple[Storefronts, Passage]:
        """Return what `settings` say. Raises UnknownTopic, Unavailable."""
        names = [each.name for each in settings.storefronts]
        for name in names:
            if name not in self._partitions:
                topic = events_topic(name)
                self._partitions[name] = self._known.get(topic) or await self._broker.partitions(topic)
        self._process.metrics.initialise_gateway(names, EVENT_TYPES)
        self._buckets = dict(self._kept_or_new(settings))
        rates = {name: bucket for name, (_, bucket) in self._buckets.items()}
        storefronts = Storefronts(settings.storefronts, self._partitions, rates)
        passage = Passage(
            settings.storefronts,
            storefronts,
            self._in_flight,
            self._process.log,
            max_body_bytes=settings.gateway.max_body_bytes,
            limits=self._limits,
        )
        return storefronts, passage

    def _kept_or_new(self, settings: Settings) -> list[tuple[str, tuple[_Rate, TokenBucket]]]:
        found = []
        for each in settings.storefronts:
            if each.events_per_second is not None:
                per_second = max(1, each.events_per_second // settings.gateway.workers)
                rate = _Rate(per_second, settings.gateway.max_batch_events)
                before = self._buckets.get(each.name)
                if before is None or before[0] != rate:
                    before = rate, TokenBucket(per_second, self._process.clock, burst=rate.burst)
                found.append((each.name, before))
        return found

    async def take_over(self, settings: Settings, edge: Edge, spool: Spool | None) -> None:
        """Make sure of the topics, open the spool's lanes for those that are new, and let `edge` answer by `settings`: in one step, for
        requests that come from then on.

        While the broker is away that is done all the same when no storefront is new. Raises OperatorError; then nothing has changed.
        """
        specs = topics(settings)
        new = [events_topic(each.name) for each in settings.storefronts if each.name not in self._partitions]
        try:
            await ensured(self._broker, specs, self._process.log, create=settings.broker.create_topics)
        except Unavailable as error:
            if new:
                raise
            self._process.log.warning("broker unavailable: the topics are not looked at", reason=str(error))
        if spool is not None and new:
            await spool.open_lanes({topic: await self._broker.partitions(topic) for topic in new})
        await edge.use(settings.gateway, *await self.make(settings))
