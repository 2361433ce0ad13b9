"""Settling dead letters: sent on their way again, or given up (RECORDS §1)."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from broker.interface import BrokerError, Fenced, RecordTooLarge
from consumers.letter_search import fetch
from consumers.letters import Settled, settlement
from runtime.errors import OperatorError
from schemas.topics import DEAD_LETTERS, partition_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from broker.interface import Broker, Message, Publisher, TransactionalPublisher
    from consumers.letter_search import Entry
    from consumers.letters import Letter, Origin, Place

ROUND_BYTES: Final = 48 * 1024 * 1024
"""So much of them is in memory at a time; less than a publisher takes at once."""
RECORD_BYTES: Final = 2 * 1024
"""What a letter weighs in memory beside its value."""
CHUNK: Final = 500
"""After so many they are settled: what a kill in between may repeat."""

_OWNER: Final = "sluice-dead-letters"
_TAKEN_OVER: Final = "somebody else settles dead letters since; what is left is theirs, and the last ones of this run may be replayed twice"


class Progress(NamedTuple):
    """How far it is: so many are settled; these are too large for their topic; so many were settled by others meanwhile."""

    settled: int = 0
    too_large: tuple[Letter, ...] = ()
    passed: int = 0

    @property
    def done(self) -> int:
        """How many need no more work."""
        return self.settled + len(self.too_large) + self.passed


class Settler:
    """Replays and discards. One at a time: whoever opens the next one takes over, and this one stops. `settling` makes it.

    `copies`: where else an event's letter stands; all are settled together.
    """

    def __init__(
        self,
        broker: Broker,
        publisher: Publisher,
        owner: TransactionalPublisher,
        copies: Mapping[Origin, Sequence[Place]],
    ) -> None:
        self._broker = broker
        self._publisher = publisher
        self._owner = owner
        self._copies = copies
        self._partitions: dict[str, int] = {}

    async def settle(
        self,
        entries: Sequence[Entry],
        outcome: Settled,
        shown: Callable[[Progress], None],
        stopping: Callable[[], bool],
    ) -> Progress:
        """Replay (REPLAYED) or give up (DISCARDED) what `entries` name, in their order, until all is done or `stopping`.

        Replayed are the events as they were accepted, behind all that was accepted since. Each is settled after the
        acknowledgement, so one that a kill catches between is replayed twice, and never lost. Those that are settled
        when it comes to them are passed over. Raises BrokerError, with what was acknowledged settled; OperatorError
        when somebody else took over.
        """
        progress = Progress()
        for part in _rounds(entries):
            letters = await fetch(self._broker, [entry.place for entry in part])
            progress = progress._replace(passed=progress.passed + len(part) - len(letters))
            for start in range(0, len(letters), CHUNK):
                if stopping():
                    return progress
                progress = await self._chunk(letters[start : start + CHUNK], outcome, progress)
                shown(progress)
        return progress

    async def _chunk(self, letters: Sequence[Letter], outcome: Settled, progress: Progress) -> Progress:
        if outcome is not Settled.REPLAYED:
            await self._write(letters, outcome)
            return progress._replace(settled=progress.settled + len(letters))
        done: list[Letter] = []
        too_large: list[Letter] = []
        problem = await self._publish(letters, done, too_large)
        await self._write(done, outcome)
        if problem is not None:
            raise problem
        return progress._replace(settled=progress.settled + len(done), too_large=(*progress.too_large, *too_large))

    async def _publish(
        self, letters: Sequence[Letter], done: list[Letter], too_large: list[Letter]
    ) -> BrokerError | None:
        """Publish, and wait for the acknowledgements; `done` and `too_large` are filled. Returns what kept the rest from it."""
        lanes: dict[tuple[str, int], list[Letter]] = {}
        for letter in letters:
            lanes.setdefault((letter.origin.topic, await self._partition(letter)), []).append(letter)
        problem: BrokerError | None = None
        futures: list[tuple[asyncio.Future[None], Sequence[Letter]]] = []
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
        self, topic: str, partition: int, lane: Sequence[Letter], too_large: list[Letter]
    ) -> Iterator[tuple[asyncio.Future[None], Sequence[Letter]]]:
        """Publish a lane as a whole; where something in it is too large, each alone."""
        try:
            yield self._publisher.publish(topic, partition, [letter.event() for letter in lane]), lane
        except RecordTooLarge:
            if len(lane) == 1:
                too_large += lane
                return
            for letter in lane:
                yield from self._that_fit(topic, partition, [letter], too_large)

    async def _partition(self, letter: Letter) -> int:
        topic = letter.origin.topic
        count = self._partitions.get(topic)
        if count is None:
            count = self._partitions[topic] = await self._broker.partitions(topic)
        key = letter.record.key
        return letter.origin.partition % count if key is None else partition_of(key, count)

    async def _write(self, letters: Sequence[Letter], outcome: Settled) -> None:
        if not letters:
            return
        messages: dict[int, list[Message]] = {}
        for letter in letters:
            for place in self._copies.get(letter.origin, (letter.place,)):
                messages.setdefault(place.partition, []).append(settlement(letter.record.key, place, outcome))
        try:
            async with self._owner.transaction() as transaction:
                for partition, part in messages.items():
                    await transaction.publish(DEAD_LETTERS, partition, part)
        except Fenced:
            raise OperatorError(_TAKEN_OVER) from None


@asynccontextmanager
async def settling(broker: Broker, copies: Mapping[Origin, Sequence[Place]]) -> AsyncIterator[Settler]:
    """Give a settler; whoever settles at present is stopped. Raises Unavailable."""
    async with AsyncExitStack() as stack:
        publisher = await broker.publisher()
        stack.push_async_callback(publisher.close)
        owner = await broker.transactional(_OWNER)
        stack.push_async_callback(owner.close)
        yield Settler(broker, publisher, owner, copies)


def _rounds(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Yield the entries in parts that fit into memory."""
    first, size = 0, 0
    for index, entry in enumerate(entries):
        weight = entry.size + RECORD_BYTES
        if size + weight > ROUND_BYTES and index > first:
            yield entries[first:index]
            first, size = index, 0
        size += weight
    if first < len(entries):
        yield entries[first:]
