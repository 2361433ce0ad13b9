"""The forwarder as a process: what it is built from, how it starts, how it ends."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from broker.factory import open_broker
from broker.startup import Availability, ready_broker
from consumers.api.ingestion import Ingestion
from consumers.assignments import Assignments
from consumers.brake import Brake, Brakes
from consumers.delivery.courier import Courier
from consumers.delivery.lane import Lane
from consumers.delivery.route import Route
from consumers.forwarder import Forwarder
from consumers.gauges import Gauges
from consumers.letters.dead_letters import DeadLetters
from consumers.letters.forgetting import Forgetting
from consumers.pace.gate import Gate
from consumers.pace.origin import origins, place_of
from consumers.progress import Progress
from consumers.report import Report
from consumers.room import Room
from consumers.traces import Traces
from consumers.wishes import Wishes
from runtime.backoff import Backoff
from schemas.topics import (
    DEAD_LETTERS,
    FORWARDER_GROUP,
    commands_spec,
    dead_letters_spec,
    events_spec,
    events_topic,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from broker.interface import Broker
    from consumers.pace.origin import Origin
    from runtime.process import Process
    from runtime.settings import ForwarderSettings, Settings, StorefrontSettings
    from schemas.topics import TopicSpec

MAX_BODY_BYTES: Final = 1024 * 1024
FIRST_RETRY_SECONDS: Final = 0.1
LONGEST_RETRY_SECONDS: Final = 30.0


def topics(settings: Settings) -> list[TopicSpec]:
    """Return the topics that a forwarder reads and writes."""
    count = settings.broker.partitions
    return [
        *(events_spec(each.name, each.partitions or count) for each in settings.storefronts),
        dead_letters_spec(count),
        commands_spec(count),
    ]


async def main(settings: Settings, process: Process) -> None:
    """Forward until the process is asked to stop, then drain.

    Readiness is about this process: a broker that does not answer, an offset that is not in its log, records that
    nobody moves. A storefront that rests is no reason; that is what `sluice_forwarder_paused` tells. A broker that is
    away is waited for, whenever that is. Raises OperatorError when a topic is missing that must not be created.
    """
    broker = open_broker(settings.broker, process.metrics, process.log, process.clock)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(broker.close)
        if not await ready_broker(broker, topics(settings), process, create=settings.broker.create_topics):
            return
        # It may go away again at any time.
        availability = Availability(process)
        process.health.add("broker", lambda: availability.why)
        forwarder = await availability.until(partial(_built, broker, settings, process, stack))
        if forwarder is None:
            return
        process.started(storefronts=len(settings.storefronts))
        await forwarder.run()


async def _built(broker: Broker, settings: Settings, process: Process, stack: AsyncExitStack) -> Forwarder:
    """Return what `build` does; what it opened before it failed is closed again."""
    async with AsyncExitStack() as opened:
        forwarder = await build(broker, settings, process, opened)
        stack.push_async_exit(opened.pop_all())
    return forwarder


async def build(broker: Broker, settings: Settings, process: Process, stack: AsyncExitStack) -> Forwarder:
    """Return a forwarder that has joined its group; `stack` closes whatever it opened. Raises Unavailable."""
    random = Random()  # noqa: S311 - it spreads retries, and guards nothing
    backoff = Backoff(random, base=FIRST_RETRY_SECONDS, cap=LONGEST_RETRY_SECONDS)
    publisher = await broker.publisher()
    stack.push_async_callback(publisher.close)
    dead_letters = DeadLetters(publisher, await broker.partitions(DEAD_LETTERS), backoff, process.clock, process.log)
    forgetting = Forgetting(
        lambda partition, start: broker.read(DEAD_LETTERS, partition=partition, start=start),
        dead_letters,
        process.clock,
        process.log,
    )
    failures: list[BaseException] = []
    routes: dict[str, Route] = {}
    shared = origins((each.ingestion for each in settings.storefronts), process.clock)
    for each in settings.storefronts:
        ingestion = await stack.enter_async_context(Ingestion(each.ingestion))
        routes[each.name] = route_of(
            each,
            settings.forwarder,
            ingestion,
            dead_letters,
            forgetting,
            backoff,
            random,
            process,
            failed=failures.append,
            origin=shared[place_of(each.ingestion)],
            traces=Traces.wanted(each, settings.broker.kind),
        )
    by_topic = {events_topic(name): route for name, route in routes.items()}
    brakes = Brakes({name: route.brake for name, route in routes.items()}, broker, process.clock, process.log)
    wishes = Wishes(broker, brakes.heard, process.clock, process.log)
    # Before anything is read that could be sent.
    await wishes.read()
    assignments = Assignments(by_topic, process.log)
    subscription = await broker.subscribe(
        FORWARDER_GROUP, list(by_topic), assignments, instance=settings.forwarder.instance
    )
    assignments.use(subscription)
    progress = Progress(lambda: assignments.trackers, by_topic, broker.log_ranges, process.clock, process.log)
    gauges = Gauges(broker, settings, routes, process)
    for work in (gauges.run(), wishes.follow(), brakes.run(), progress.run()):
        await stack.enter_async_context(_in_background(work, failures.append))
    forwarder = Forwarder(subscription, assignments, by_topic, Room(), process, failures)
    process.health.add("broker", forwarder.fault)
    process.health.add("dead letters", publisher.fault)
    process.health.add("offsets", assignments.fault)
    process.health.add("progress", progress.fault)
    return forwarder


def route_of(
    storefront: StorefrontSettings,
    settings: ForwarderSettings,
    ingestion: Ingestion,
    dead_letters: DeadLetters,
    forgetting: Forgetting,
    backoff: Backoff,
    random: Random,
    process: Process,
    *,
    failed: Callable[[BaseException], None],
    origin: Origin,
    traces: Traces | None = None,
) -> Route:
    """Return the way of one storefront's events. `failed` is told of faults in our own code; `origin` is shared with others; `traces`: None
    when nobody listens to them.
    """
    report = Report(storefront.name, process.metrics, process.clock, process.log, traces=traces)
    gate = Gate(settings.max_in_flight, process.clock, random, origin)
    brake = Brake(storefront.name, settings, gate.park, process.log)
    return Route(
        Lane(
            max_events=settings.max_batch_events,
            max_bytes=MAX_BODY_BYTES,
            max_wait=settings.max_batch_wait_ms / 1000,
        ),
        gate,
        Courier(
            storefront.name,
            ingestion,
            gate,
            dead_letters,
            backoff,
            process.clock,
            report,
            limit=brake.limit,
            forgetting=forgetting,
        ),
        process.clock,
        report,
        failed,
        # When all that are out come back, as many more can go.
        enough=settings.max_in_flight * settings.max_batch_events,
        brake=brake,
        traces=traces,
    )


@asynccontextmanager
async def _in_background(
    work: Coroutine[None, None, None], failed: Callable[[BaseException], None]
) -> AsyncIterator[None]:
    """Run `work` until the block ends; `failed` is told when it ends by itself."""

    async def watched() -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the process
            failed(error)

    task = asyncio.create_task(watched())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
