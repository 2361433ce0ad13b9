"""Settling dead letters: sent on their way again, or given up (RECORDS §1)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from broker.interface import BrokerError, Fenced, RecordTooLarge
from consumers.letters.letter import Settled, settlement
from consumers.letters.search import catch_up, fetch
from runtime.errors import OperatorError
from schemas.topics import DEAD_LETTERS, partition_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from broker.interface import Broker, Message, Publisher, TransactionalPublisher
    from consumers.letters.index import Entry, LetterIndex
    from consumers.letters.letter import Letter, Place

ROUND_BYTES: Final = 48 * 1024 * 1024
"""So much of them is in memory at a time; less than a publisher takes at once."""
CHUNK: Final = 500
"""After so many they are settled: what a kill in between may repeat."""

Waiting: TypeAlias = "tuple[Entry, Letter]"
"""A letter that is to be settled, and what the index knows of it."""

_OWNER: Final = "sluice-dead-letters"
_TAKEN_OVER: Final = "somebody else settles dead letters since; what is left is theirs, and the last ones of this run may be replayed twice"


class TooLarge(NamedTuple):
    """A letter whose event its topic does not take any more. `size`: of its value, in bytes."""

    place: Place
    topic: str
    size: int


class Progress(NamedTuple):
    """How far it is: so many are settled; these are too large for their topic; so many were settled by others meanwhile, or expired."""

    settled: int = 0
    too_large: tuple[TooLarge, ...] = ()
    passed: int = 0

    @property
    def done(self) -> int:
        """How many need no more work."""
        return self.settled + len(self.too_large) + self.passed


class Settler:
    """Replays and discards. One at a time: whoever opens the next one takes over, and this one stops. `settling` makes it."""

    def __init__(self, broker: Broker, publisher: Publisher, owner: TransactionalPublisher) -> None:
        self._broker = broker
        self._publisher = publisher
        self._owner = owner
        self._partitions: dict[str, int] = {}

    async def settle(
        self,
        index: LetterIndex,
        outcome: Settled,
        shown: Callable[[Progress], None],
        stopping: Callable[[], bool],
    ) -> Progress:
        """Replay (REPLAYED) or give up (DISCARDED) what stands in line in `index`, until all is done or `stopping`.

        Replayed are the events as they were accepted, behind all that was accepted since. Each is settled after the
        acknowledgement, all copies together, so one that a kill catches between is replayed twice, and never lost. Those that
        are settled when it comes to them, or have expired, are passed over. Raises BrokerError, with what was acknowledged
        settled; OperatorError when somebody else took over.
        """
        progress = Progress()
        after = 0
        while not stopping():
            await catch_up(self._broker, index)
            after, part = await asyncio.to_thread(index.part, after, ROUND_BYTES)
            if not part:
                break
            waiting = [entry for entry in part if entry.settled is None]
            letters = await fetch(self._broker, [entry.place for entry in waiting])
            left = [(entry, letters[entry.place]) for entry in waiting if entry.place in letters]
            progress = progress._replace(passed=progress.passed + len(part) - len(left))
            for start in range(0, len(left), CHUNK):
                if stopping():
                    break
                progress = await self._chunk(left[start : start + CHUNK], outcome, progress)
                shown(progress)
        return progress

    async def _chunk(self, left: Sequence[Waiting], outcome: Settled, progress: Progress) -> Progress:
        if outcome is not Settled.REPLAYED:
            await self._write(left, outcome)
            return progress._replace(settled=progress.settled + len(left))
        done: list[Waiting] = []
        too_large: list[TooLarge] = []
        problem = await self._publish(left, done, too_large)
        await self._write(done, outcome)
        if problem is not None:
            raise problem
        return progress._replace(settled=progress.settled + len(done), too_large=(*progress.too_large, *too_large))

    async def _publish(
        self, left: Sequence[Waiting], done: list[Waiting], too_large: list[TooLarge]
    ) -> BrokerError | None:
        """Publish, and wait for the acknowledgements; `done` and `too_large` are filled. Returns what kept the rest from it."""
        lanes: dict[tuple[str, int], list[Waiting]] = {}
        for entry, letter in left:
            lanes.setdefault((letter.origin.topic, await self._partition(letter)), []).append((entry, letter))
        problem: BrokerError | None = None
        futures: list[tuple[asyncio.Future[None], Sequence[Waiting]]] = []
        for (topic, partition), lane in lanes.items():
            try:
                futures.extend(self._that_fit(topic, partition, lane, too_large))
            except BrokerError as error:
                problem = error
        for future, published in futures:
            try:
                await future
            except BrokerError as error:
                problem = error
            else:
                done += published
        return problem

    def _that_fit(
        self, topic: str, partition: int, lane: Sequence[Waiting], too_large: list[TooLarge]
    ) -> Iterator[tuple[asyncio.Future[None], Sequence[Waiting]]]:
        """Publish a lane as a whole; where something in it is too large, each alone."""
        try:
            yield self._publisher.publish(topic, partition, [letter.event() for _, letter in lane]), lane
        except RecordTooLarge:
            if len(lane) == 1:
                too_large += [TooLarge(entry.place, topic, entry.size) for entry, _ in lane]
                return
            for each in lane:
                yield from self._that_fit(topic, partition, [each], too_large)

    async def _partition(self, letter: Letter) -> int:
        topic = letter.origin.topic
        count = self._partitions.get(topic)
        if count is None:
            count = self._partitions[topic] = await self._broker.partitions(topic)
        key = letter.record.key
        return letter.origin.partition % count if key is None else partition_of(key, count)

    async def _write(self, settled: Sequence[Waiting], outcome: Settled) -> None:
        if not settled:
            return
        messages: dict[int, list[Message]] = {}
        for entry, letter in settled:
            for place in entry.copies:
                messages.setdefault(place.partition, []).append(settlement(letter.record.key, place, outcome))
        try:
            async with self._owner.transaction() as transaction:
                for partition, part in messages.items():
                    await transaction.publish(DEAD_LETTERS, partition, part)
        except Fenced:
            raise OperatorError(_TAKEN_OVER) from None


@asynccontextmanager
async def settling(broker: Broker) -> AsyncIterator[Settler]:
    """Give a settler; whoever settles at present is stopped. Raises Unavailable."""
    async with AsyncExitStack() as stack:
        publisher = await broker.publisher()
        stack.push_async_callback(publisher.close)
        owner = await broker.transactional(_OWNER)
        stack.push_async_callback(owner.close)
        yield Settler(broker, publisher, owner)
