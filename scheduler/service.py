"""The scheduler as a process: what it is built from, how it starts, how it ends."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from broker.factory import open_broker
from broker.startup import Availability, ready_broker
from runtime.faults import dotted
from runtime.memory import give_back_large_blocks
from scheduler.backoffs import Backoffs
from scheduler.estate import Surroundings
from scheduler.estates import Estates
from scheduler.exchange import vendor_session
from scheduler.lease import Lease
from scheduler.membership import Membership
from scheduler.portfolio import plans, topics, warnings
from scheduler.report import Report
from scheduler.wishes import Wishes
from schemas.topics import LEDGER, SCHEDULER_GROUP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.interface import Broker, Subscription
    from runtime.process import Process
    from runtime.settings import Settings
    from schemas.topics import TopicSpec


async def main(settings: Settings, process: Process) -> None:
    """Pull exports until the process is asked to stop. `settings` is without conflicts of `scheduler.portfolio`.

    A broker that is away is waited for, whenever that is. Raises OperatorError when a topic is missing that must not be created.
    """
    # Pieces of a large pull go from thread to thread.
    give_back_large_blocks()
    broker = open_broker(settings.broker, process.metrics, process.log, process.clock)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(broker.close)
        specs = topics(settings)
        if not await ready_broker(broker, specs, process, create=settings.broker.create_topics):
            return
        # It may go away again at any time.
        availability = Availability(process)
        process.health.add("broker", lambda: availability.why)
        partitions = await availability.until(partial(_partitions, broker, specs))
        if partitions is None:
            return
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="sluice-scheduler-")))
        session = await stack.enter_async_context(vendor_session())
        wishes = Wishes(broker, process.clock, process.log)
        lease, report = Lease(process.clock), Report(process.metrics, process.clock, process.log)
        backoffs = Backoffs(Random())  # noqa: S311 - it spreads retries, and guards nothing
        surroundings = Surroundings(
            broker, partitions, session, wishes, lease, backoffs, report, directory, process.clock, process.log
        )
        for warning in warnings(settings):
            key = dotted(warning.paths[0])
            process.log.warning("configuration may be wrong", key=key, message=warning.message, cure=warning.cure)
        configured = plans(settings)
        report.initialise(configured)
        estates = Estates(configured, surroundings)
        subscription = await availability.until(partial(broker.subscribe, SCHEDULER_GROUP, [LEDGER], estates))
        if subscription is not None:
            await _serve(subscription, estates, wishes, lease, process, exports=len(configured))


async def _partitions(broker: Broker, specs: Sequence[TopicSpec]) -> dict[str, int]:
    return {spec.name: await broker.partitions(spec.name) for spec in specs}


async def _serve(
    subscription: Subscription, estates: Estates, wishes: Wishes, lease: Lease, process: Process, *, exports: int
) -> None:
    lease.use(subscription.held_until)
    listening = asyncio.create_task(wishes.follow(estates.heard))
    membership = Membership(subscription, estates, lease, process, listening)
    process.health.add("broker", membership.fault)
    process.health.add("exports", estates.fault)
    process.started(exports=exports)
    try:
        await membership.run()
    finally:
        listening.cancel()
        await asyncio.wait([listening])
        await subscription.close()
