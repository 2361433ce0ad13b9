"""A storefront's route with everything real but the broker: its API on loopback, its clock in the test's hand."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import orjson
import structlog
from pydantic import SecretStr
from structlog.testing import LogCapture

from broker.interface import NotAcknowledged, Publisher
from consumers.api.ingestion import Ingestion
from consumers.letters.dead_letters import DeadLetters
from consumers.letters.forgetting import Forgetting
from consumers.offsets.tally import Tally
from consumers.offsets.tracker import Tracker
from consumers.pace.origin import Origin
from consumers.service import route_of
from runtime.backoff import Backoff
from runtime.clock import Clock, ManualClock
from runtime.health import Health
from runtime.metrics import Metrics
from runtime.process import Process
from runtime.settings import ForwarderSettings, IngestionSettings, StorefrontSettings
from schemas.topics import DEAD_LETTERS
from tests.chance import seeded
from tests.consumers.records import Read, record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from structlog.typing import EventDict

    from broker.interface import Message
    from tests.consumers.sink import Sink

NAME = "acme"
KEY = "tolk_sec_0123456789"


class MemoryPublisher(Publisher):
    """Keeps what is published; fails the next `failures` calls."""

    def __init__(self) -> None:
        self.published: list[tuple[str, int, Message]] = []
        self.failures = 0

    def publish(
        self, topic: str, partition: int, messages: Sequence[Message], *, precious: bool = False
    ) -> asyncio.Future[None]:
        del precious
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.failures:
            self.failures -= 1
            future.set_exception(NotAcknowledged("no acknowledgement in 10 s"))
        else:
            self.published += [(topic, partition, message) for message in messages]
            future.set_result(None)
        return future

    async def read(self, partition: int, start: int = 0) -> AsyncIterator[Read]:
        """Yield what stands in a partition of the only topic, from an offset on."""
        here = [message for _, number, message in self.published if number == partition]
        for offset, (key, value, headers) in list(enumerate(here))[start:]:
            yield Read(DEAD_LETTERS, partition, offset, 1_800_000_000_000, key, value, tuple(headers))

    def fault(self) -> str | None:
        return None

    async def close(self, timeout: float = 10) -> None:  # noqa: ARG002, ASYNC109 - the interface's
        return


def make_process(clock: Clock) -> tuple[Process, list[EventDict]]:
    """A process whose log is the list."""
    capture = LogCapture()
    log = structlog.wrap_logger(None, processors=[capture], wrapper_class=structlog.make_filtering_bound_logger("info"))
    process = Process("forwarder", log=log, metrics=Metrics(), health=Health(), clock=clock, drain_seconds=3.0)
    return process, capture.entries


def event(name: str, **more: object) -> bytes:
    return orjson.dumps({"name": name, **more})


class Shop:
    """One storefront with one partition. An event is named `<key><anything>`: "a1" has the key "a", "-1" has none."""

    def __init__(
        self,
        sink: Sink,
        ingestion: Ingestion,
        clock: ManualClock,
        settings: ForwarderSettings,
        seed: int,
        name: str,
        origin: Origin,
    ) -> None:
        self.name = name
        self.sink = sink
        self.clock = clock
        self.process, self.log = make_process(clock)
        self.metrics = self.process.metrics
        self.failures: list[BaseException] = []
        self.publisher = MemoryPublisher()
        self.tracker = Tracker(0, Tally(0))
        random = seeded(seed)
        backoff = Backoff(random, base=0.1, cap=30)
        dead_letters = DeadLetters(self.publisher, 3, backoff, clock, self.process.log)
        self.route = route_of(
            StorefrontSettings(name=name, ingestion=IngestionSettings(url=sink.url, api_key=SecretStr(KEY))),
            settings,
            ingestion,
            dead_letters,
            Forgetting(self.publisher.read, dead_letters, clock, self.process.log),
            backoff,
            random,
            self.process,
            failed=self.failures.append,
            origin=origin,
        )
        self.route.assign({0: self.tracker})

    def feed(self, *names: str) -> list[Read]:
        """Events are read from the log."""
        first = self.tracker.next_offset
        records = [
            record(first + index, None if name[0] == "-" else name[0].encode(), event(name))
            for index, name in enumerate(names)
        ]
        self.feed_records(records)
        return records

    def feed_records(self, records: Sequence[Read]) -> None:
        self.route.add(0, records)
        self.route.pump()

    def committable(self) -> tuple[int, int, int]:
        """Offset, delivered and dead-lettered of the commit that could be made."""
        commit = self.tracker.commit()
        if commit is None:
            return (0, 0, 0)
        tally = Tally.decode(commit.metadata)
        return (commit.offset, tally.delivered, tally.dead_lettered)

    @property
    def finished(self) -> bool:
        return self.committable()[0] == self.tracker.next_offset

    @property
    def idle(self) -> bool:
        """Whether no request is out."""
        # To look the gauge up by its name takes longer than the request.
        out: float = self.metrics.forwarder_in_flight.labels(self.name)._value.get()
        return out == 0

    @property
    def dead(self) -> list[str]:
        """The names of the dead letters."""
        return [orjson.loads(value)["name"] for _, _, (_, value, _) in self.publisher.published if value]

    def lines(self, what: str) -> list[EventDict]:
        return [entry for entry in self.log if entry["event"] == what]

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"sluice_{name}", {"storefront": self.name, **labels}) or 0.0

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        self.route.pump()

    async def until(self, condition: Callable[[], object], *, step: float = 0.0) -> None:
        """Wait for `condition`; with `step`, the clock goes on by so much whenever no request is out."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 20
        while not condition():
            assert not self.failures, self.failures
            assert loop.time() < deadline, f"it never came true: {self.committable()}, {self.sink.names}"
            await asyncio.sleep(0.001)
            if step and self.idle:
                await self.advance(step)


@asynccontextmanager
async def open_shop(
    sink: Sink,
    *,
    clock: ManualClock | None = None,
    seed: int = 1,
    name: str = NAME,
    origin: Origin | None = None,
    **forwarder: int,
) -> AsyncIterator[Shop]:
    """A shop that sends to `sink`; `forwarder` are its settings, batches without a wait unless said otherwise."""
    clock = clock or ManualClock()
    settings = ForwarderSettings.model_validate({"max_batch_wait_ms": 0, **forwarder})
    async with Ingestion(IngestionSettings(url=sink.url, api_key=SecretStr(KEY)), total_seconds=5.0) as ingestion:
        shop = Shop(sink, ingestion, clock, settings, seed, name, origin or Origin(None, clock))
        yield shop
        await shop.route.withdraw([0], 0)
        assert not shop.failures
