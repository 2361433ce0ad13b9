"""Publishing to Kafka: durable when the future is done (acks=all), in the order of the calls for each partition."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from broker.interface import Full, NotAcknowledged, Publisher, RecordTooLarge, Unavailable
from broker.kafka.calls import Call, weight
from broker.kafka.lane import Lane
from broker.kafka.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Message, Relief
    from broker.kafka.catalogue import Catalogue
    from broker.kafka.producers import Producers
    from runtime.clock import Clock
    from runtime.metrics import Metrics

_SWEEP_SECONDS = 0.1
_PROBE_SECONDS = 3.0
_ANSWER_SECONDS = 3.0
_RENEW_SECONDS = 30.0
_FAULT_SECONDS = 2.0
_REFUSAL_SECONDS = 60.0


class KafkaPublisher(Publisher):
    """A publisher over lanes, one per partition; see `broker.interface.Publisher`. Made by KafkaBroker, its producers started.

    `servers` names the Kafka in what an operator reads.
    """

    def __init__(
        self,
        producers: Producers,
        catalogue: Catalogue,
        metrics: Metrics,
        log: FilteringBoundLogger,
        clock: Clock,
        *,
        servers: str,
        ack_timeout: float,
        max_pending_bytes: int,
        relief: Relief | None,
    ) -> None:
        self._producers = producers
        self._catalogue = catalogue
        self._log = log
        self._clock = clock
        self._servers = servers
        self._ack_timeout = ack_timeout
        self._max_pending_bytes = max_pending_bytes
        self._relief = relief
        self._loop = asyncio.get_running_loop()
        self._ledger = Ledger(clock, metrics)
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._tasks: dict[asyncio.Task[None], tuple[str, int]] = {}
        self._sweeper = asyncio.create_task(self._sweep(), name="kafka publisher deadlines")
        self._prober = asyncio.create_task(self._probe(), name="kafka publisher probe")
        self._silent_since: float | None = None
        self._closed = False

    def publish(
        self,
        topic: str,
        partition: int,
        messages: Sequence[Message],
        *,
        precious: bool = False,  # noqa: ARG002  # the interface's
    ) -> asyncio.Future[None]:
        """Hand over messages; see the interface. A topic that nobody asked about yet is judged in the future, not at once."""
        future: asyncio.Future[None] = self._loop.create_future()
        if self._closed:
            future.set_exception(Unavailable("the publisher is closed"))
            return future
        facts = self._catalogue.known(topic)
        limit = facts.max_message_bytes if facts is not None else 0
        size, largest = weight(messages, limit)
        if facts is not None and largest > limit:
            raise RecordTooLarge(f"topic {topic} takes records of {limit} bytes, one here has up to {largest}")
        ledger = self._ledger
        if ledger.pending_bytes + size > self._max_pending_bytes:
            raise Full(f"{ledger.pending_bytes} bytes wait for Kafka's acknowledgement already")
        if not messages:
            future.set_result(None)
            return future
        ledger.pending_bytes += size
        now = ledger.now()
        lane = self._lanes.get((topic, partition)) or self._open(topic, partition)
        lane.add(Call(messages, size, future, now, now + self._ack_timeout, checked=facts is not None))
        return future

    def fault(self) -> str | None:
        """Why acknowledgements do not come, or would not if anything were published. None while any come. Does not wait."""
        ledger = self._ledger
        now = ledger.now()
        since = min((each for lane in self._lanes.values() if (each := lane.unanswered_since) is not None), default=now)
        since = max(since, ledger.last_acknowledgement)
        if now - since > _FAULT_SECONDS:
            return f"no acknowledgement from Kafka at {self._servers} for {now - since:.1f} s"
        if self._silent_since is not None and self._silent_since > ledger.last_acknowledgement:
            return f"Kafka at {self._servers} has not answered for {now - self._silent_since:.1f} s"
        refused = ledger.last_refusal
        if refused > ledger.last_acknowledgement and now - refused < _REFUSAL_SECONDS:
            return str(ledger.refusal)
        return None

    async def close(self, timeout: float = 10) -> None:  # noqa: ASYNC109  # the interface's
        """Wait for what is pending, fail the rest, stop the producers. Idempotent."""
        self._closed = True
        drained = False
        with contextlib.suppress(TimeoutError):  # the rest is failed below
            async with asyncio.timeout(timeout):
                for lane in list(self._lanes.values()):
                    await lane.drained()
                drained = True
        for lane in self._lanes.values():
            lane.fail_all(NotAcknowledged("the publisher was closed before the acknowledgement came"))
        tasks = [self._sweeper, self._prober, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self._lanes.clear()
        await self._producers.close(drained=drained)

    def _open(self, topic: str, partition: int) -> Lane:
        lane = Lane(topic, partition, self._catalogue, self._producers, self._ledger, self._log, self._relief)
        self._lanes[topic, partition] = lane
        task = asyncio.create_task(lane.run(), name=f"kafka publisher {topic}/{partition}")
        self._tasks[task] = (topic, partition)
        task.add_done_callback(self._lane_ended)
        return lane

    def _lane_ended(self, task: asyncio.Task[None]) -> None:
        place = self._tasks.pop(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        # Nothing is meant to end a lane: whoever waits is answered, and the next call opens a new one.
        self._log.error("kafka lane failed", topic=place[0], partition=place[1], exc_info=error)
        self._lanes.pop(place).fail_all(NotAcknowledged(f"topic {place[0]}: {type(error).__name__}"))

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(_SWEEP_SECONDS)
            now = self._ledger.now()
            why = self.fault()
            for lane in list(self._lanes.values()):
                lane.sweep(now, why)

    async def _probe(self) -> None:
        """Notice that Kafka is away also while nothing is published."""
        while True:
            await self._clock.sleep(_PROBE_SECONDS)
            asked = self._ledger.now()
            if asked - self._ledger.last_acknowledgement < _PROBE_SECONDS or await self._producers.answers(
                _ANSWER_SECONDS
            ):
                self._silent_since = None
            elif self._silent_since is None:
                self._silent_since = asked
            elif asked - self._silent_since > _RENEW_SECONDS:
                self._producers.renew("nothing was heard of Kafka")
