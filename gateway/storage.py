"""Where a gateway keeps what it accepts: in Kafka, or in the spool, also while Kafka has not been reached yet."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from broker.spool.absent import AbsentLog, Spooling
from broker.spool.owner import Owner
from broker.spool.publisher import SpooledPublisher
from broker.spool.spool import Spool
from broker.startup import Availability, ensured
from gateway.configured import topics
from runtime.errors import one_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from broker.interface import Broker, Publisher, Relief
    from runtime.process import Process
    from runtime.settings import Settings

ACK_TIMEOUT_SECONDS: Final = 10.0
MAX_PENDING_BYTES: Final = 64 * 1024 * 1024
PATIENCE_SECONDS: Final = 3.0
"""How long a gateway that could begin without Kafka waits for it."""


class Storage(NamedTuple):
    """What publishes, how many partitions each topic has, which is pinned, and the spool if there is one."""

    publisher: Publisher
    partitions: Mapping[str, int]
    spool: Spool | None = None


def spools(settings: Settings) -> bool:
    """Say whether a gateway with these settings has a spool."""
    return settings.broker.kind == "kafka" and settings.gateway.spool_max_bytes > 0


@asynccontextmanager
async def spool_owned(settings: Settings) -> AsyncIterator[Owner | None]:
    """Own the spool while the block runs; None where there is none. Raises SpoolInUse, Unavailable."""
    owner = await asyncio.to_thread(Owner, Path(settings.gateway.spool_path)) if spools(settings) else None
    try:
        yield owner
    finally:
        if owner is not None:
            owner.release()


class Opening(NamedTuple):
    """Where events go, as soon as they can go anywhere: None when the process was asked to stop before. `why` it takes so long, in an
    operator's words.
    """

    storage: asyncio.Task[Storage | None]
    why: Callable[[], str]


@asynccontextmanager
async def opened(settings: Settings, process: Process, broker: Broker) -> AsyncIterator[Opening]:
    """Open the storage, and yield at once what says when it is there.

    Without a spool that is when the broker is there with its topics. A spool that has met its Kafka before takes events after a few seconds
    at the latest: while the block runs, Kafka is waited for. When it cannot be used then, because a topic is missing, or the spool is for
    another, the process is asked to stop, and leaving the block raises what is wrong, an OperatorError. Before that it is the storage that
    fails so, also with Unavailable when the spool's place cannot be used.
    """
    kafka = _Kafka(settings, process, broker)
    way = _with_spool(settings, process, kafka) if spools(settings) else _without_spool(kafka)
    async with AsyncExitStack() as stack:
        storage = asyncio.create_task(stack.enter_async_context(way), name="open storage")
        try:
            yield Opening(storage, kafka.why)
        finally:
            storage.cancel()
            await asyncio.wait((storage,))


class _Reached(NamedTuple):
    """What was learnt of a broker. `cluster`: which it is."""

    cluster: str
    partitions: Mapping[str, int]


class _Kafka:
    """The broker, however long it is away. What is asked of it is None when the process was asked to stop before it was there."""

    def __init__(self, settings: Settings, process: Process, broker: Broker) -> None:
        self._settings = settings
        self._log = process.log
        self._broker = broker
        self._availability = Availability(process)
        process.health.add("broker", lambda: self._availability.why)

    def why(self) -> str:
        """Return why it is waited for, in an operator's words."""
        return self._availability.why or "not connected yet"

    async def reach(self) -> _Reached | None:
        """Connect, and make sure of the topics. Raises MissingTopics."""
        return await self._availability.until(self._reach)

    async def publisher(self, relief: Relief | None = None) -> Publisher | None:
        """Return a publisher for what comes in."""
        publisher = partial(
            self._broker.publisher,
            ack_timeout=ACK_TIMEOUT_SECONDS,
            max_pending_bytes=MAX_PENDING_BYTES,
            relief=relief,
        )
        return await self._availability.until(publisher)

    async def draining(self) -> Publisher | None:
        """Return one for what is spooled: that has a pace of its own, and no relief but to be tried again."""
        return await self._availability.until(self._broker.publisher)

    async def _reach(self) -> _Reached:
        specs = topics(self._settings)
        await self._broker.start()
        await ensured(self._broker, specs, self._log, create=self._settings.broker.create_topics)
        partitions = {each.name: await self._broker.partitions(each.name) for each in specs}
        return _Reached(await self._broker.identity(), partitions)


@asynccontextmanager
async def _without_spool(kafka: _Kafka) -> AsyncIterator[Storage | None]:
    reached = await kafka.reach()
    publisher = None if reached is None else await kafka.publisher()
    yield None if reached is None or publisher is None else Storage(publisher, reached.partitions)


@asynccontextmanager
async def _with_spool(settings: Settings, process: Process, kafka: _Kafka) -> AsyncIterator[Storage | None]:
    gateway = settings.gateway
    spool = Spool(gateway.spool_path, gateway.spool_max_bytes, process.metrics, process.log, process.clock)
    reaching = asyncio.create_task(kafka.reach(), name="reach kafka")
    tasks: list[asyncio.Task[Any]] = [reaching]
    try:
        partitions = await spool.remembered([each.name for each in topics(settings)])
        await asyncio.wait((reaching,), timeout=None if partitions is None else PATIENCE_SECONDS)
        if reaching.done():
            reached = reaching.result()
            partitions = None if reached is None else reached.partitions
        if partitions is None:
            yield None
            return
        await spool.start(partitions)
        # Nothing goes anywhere yet, but from now on somebody looks after what is there.
        await spool.drain_into(AbsentLog(kafka.why))
        publisher = SpooledPublisher(Spooling(spool, kafka.why), spool)
        joining = asyncio.create_task(_join(reaching, kafka, spool, publisher), name="join kafka")
        tasks.append(joining)
        if reaching.done():
            await asyncio.wait((joining,), timeout=PATIENCE_SECONDS)
        _raise_failure(joining)
        joining.add_done_callback(partial(_stop_on_failure, process=process))
        yield Storage(publisher, partitions, spool)
        _raise_failure(joining)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await spool.close()


async def _join(
    reaching: asyncio.Task[_Reached | None], kafka: _Kafka, spool: Spool, publisher: SpooledPublisher
) -> None:
    """Let the spool drain, and what comes go to Kafka, once that is there."""
    reached = await reaching
    if reached is None:
        return
    await spool.claim(reached.cluster)
    if (draining := await kafka.draining()) is None:
        return
    await spool.drain_into(draining)
    if (behind := await kafka.publisher(spool)) is not None:
        publisher.publish_to(behind)


def _raise_failure(task: asyncio.Task[None]) -> None:
    if task.done():
        task.result()


def _stop_on_failure(task: asyncio.Task[None], process: Process) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        process.stop(one_line(error))
