"""One partition of a publisher: what waits for it, and the one batch of it that is under way.

One batch at a time, so that there is never a question which came first: when a batch fails, everything behind it is
still here. What gathers meanwhile makes the next batch. Nothing lingers: a batch departs at once, and stays open for who comes until
the connection is free. Measured with 100 callers of single records, against a linger of 1 ms and a batch that is closed when it
departs: 12 records in a batch instead of 8, and a fifth more of them by the clock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError

from broker.interface import BrokerError, Unavailable, UnknownTopic
from broker.kafka.calls import Flight, Gathering, Hold, board
from broker.kafka.producers import Abandoned
from broker.kafka.refusals import Meaning, as_ours, meaning, said

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from broker.interface import Relief
    from broker.kafka.calls import Call
    from broker.kafka.catalogue import Catalogue, TopicFacts
    from broker.kafka.ledger import Ledger
    from broker.kafka.producers import Generation, Producers

_RETRY_SECONDS = 0.1
_UNKNOWN_REST_SECONDS = 1.0
_FIRST_REST_SECONDS = 0.5
_LONGEST_REST_SECONDS = 30.0
_SICK_SECONDS = 2.0
_GIVE_UP_SECONDS = 30.0
_RELIEF_SECONDS = 2.0
"""How long the oldest call waits before others take over, where there are any. A new leader is elected in less."""


class Lane:
    """Carries calls to one partition, in order. `run` is its task; everything else never waits."""

    def __init__(
        self,
        topic: str,
        partition: int,
        catalogue: Catalogue,
        producers: Producers,
        ledger: Ledger,
        log: FilteringBoundLogger,
        relief: Relief | None = None,
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._where = f"topic {topic}, partition {partition}"
        self._catalogue = catalogue
        self._producers = producers
        self._ledger = ledger
        self._log = log
        self._relief = relief
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Call] = deque()
        self._gathering: Gathering | None = None
        self._facts: TopicFacts | None = None
        self._flight: Flight | None = None
        self._generation: Generation | None = None
        self._spoilt: Generation | None = None
        self._bell: asyncio.Future[None] | None = None
        self._empty = asyncio.Event()
        self._refusal: BrokerError | None = None
        self._rest_seconds = 0.0
        self._rests_until = 0.0

    async def drained(self) -> None:
        """Wait until nothing waits and nothing is under way."""
        while self._waiting or self._flight is not None:
            self._empty.clear()
            await self._empty.wait()

    @property
    def unanswered_since(self) -> float | None:
        """Since when the oldest waits, on the monotonic clock; None when nothing does."""
        if self._flight is not None:
            return self._flight.begun
        return self._waiting[0].begun if self._waiting else None

    def add(self, call: Call) -> None:
        """Take a call. While the partition rests after a refusal, the call fails with that at once."""
        if self._refusal is not None:
            if self._ledger.now() < self._rests_until:
                call.waiting = False
                if self._relief is None:
                    call.fail(self._refusal)
                else:
                    self._relief.relieve(self._topic, self._partition, [call.strand()], str(self._refusal))
                self._ledger.settled(call)
                return
            self._refusal = None
        if not self._waiting:
            if self._flight is not None and self._flight.board(call):
                return
            self._gathering = None if call.taken else self._gather()
        self._waiting.append(call)
        if self._gathering is not None:
            self._gathering.add(call)
        bell = self._bell
        if bell is not None and not bell.done():
            bell.set_result(None)

    def sweep(self, now: float, why: str | None) -> None:
        """Answer whoever's time is up; `why` completes the answer. Give up a batch that nobody will acknowledge any more."""
        waiting = self._waiting
        while waiting and (waiting[0].future.done() or waiting[0].deadline <= now):
            call = waiting.popleft()
            call.waiting = False
            call.expire(self._where, why)
            self._release(call)
        since = self.unanswered_since
        if self._relief is not None and since is not None and now - since > _RELIEF_SECONDS:
            self._evacuate(why or f"{self._where}: not acknowledged for {now - since:.1f} s")
        flight, generation = self._flight, self._generation
        if flight is None or generation is None:
            return
        if flight.deadline <= now:
            for call, _, _ in flight.parts:
                if call.deadline <= now:
                    call.expire(self._where, why)
        age = now - flight.since
        if age > _SICK_SECONDS and generation.last_acknowledgement > flight.since:
            # Others get through: they shall not wait for this one's retries, which hold up a whole connection.
            self._producers.replace(generation, reason=f"{self._where} is not acknowledged")
        if age > _GIVE_UP_SECONDS:
            self._producers.replace(generation, reason=f"nothing acknowledged for {age:.0f} s")
            if not self._producers.is_current(generation):
                flight.abandon(Abandoned("not acknowledged"))

    def fail_all(self, error: BrokerError) -> None:
        """Answer everybody: this is the end."""
        for call in self._waiting:
            call.fail(error)
        if self._flight is not None:
            for call, _, _ in self._flight.parts:
                call.fail(error)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            while not self._waiting:
                self._empty.set()
                self._bell = self._loop.create_future()
                await self._bell
            try:
                facts = await self._catalogue.load(self._topic)
                generation = await self._producers.usable(self._spoilt)
                await self._meet(generation.producer, facts)
            except Unavailable:
                # Kafka is away; those who wait are answered when their time is up.
                await asyncio.sleep(_RETRY_SECONDS)
            except BrokerError as error:
                self._refuse(error)
            except KafkaError as error:
                if meaning(error) is Meaning.REFUSED:
                    self._refuse(as_ours(error, self._where))
                else:
                    # The producer heard nothing of the topic in time: ask whether it is there at all.
                    self._catalogue.forget(self._topic)
            else:
                # One that was replaced while we waited may be ending already.
                if self._producers.is_current(generation):
                    await self._send(generation, facts)

    async def _meet(self, producer: Any, facts: TopicFacts) -> None:
        """Wait until the producer knows the partition. Raises UnknownTopic, KafkaError."""
        if self._partition >= facts.partitions:
            self._catalogue.forget(self._topic)
            raise UnknownTopic(f"topic {self._topic} has no partition {self._partition}")
        while self._partition not in await producer.partitions_for(self._topic):
            await producer.client.force_metadata_update()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _send(self, generation: Generation, facts: TopicFacts) -> None:
        producer = generation.producer
        limit = facts.max_message_bytes
        gathering, self._gathering = self._gathering, None
        parts = [] if gathering is None else gathering.depart(self._waiting, limit)
        if gathering is not None and parts:
            hold = gathering.hold
        else:
            hold = Hold(producer, limit, self._ledger.milliseconds())
            parts = board(self._waiting, hold, limit)
        self._facts = facts
        self._leave()
        if not parts:
            return
        self._flight = flight = Flight(parts, hold, self._ledger.now())
        self._generation = generation
        try:
            flight.outcome = await producer.send_batch(hold.batch, self._topic, partition=self._partition)
            generation.under_way.add(flight.outcome)
            await flight.outcome
        except (KafkaError, Abandoned, AssertionError, TypeError) as error:
            # AssertionError, TypeError: the topic vanished from the producer's metadata since `_meet`.
            self._flight = None
            await self._failed(flight, generation, facts, error)
        else:
            self._flight = None
            self._landed(flight, generation)
        finally:
            self._producers.landed(generation, flight.outcome)

    def _gather(self) -> Gathering | None:
        """Begin a batch for the calls to come, if it is known what the topic takes."""
        if self._generation is None or self._facts is None:
            return None
        return Gathering(self._generation.producer, self._facts.max_message_bytes, self._ledger.milliseconds())

    def _landed(self, flight: Flight, generation: Generation) -> None:
        self._ledger.acknowledged(flight)
        generation.last_acknowledgement = self._ledger.last_acknowledgement
        self._rest_seconds = 0.0
        for call, start, stop in flight.parts:
            call.flying = False
            call.acknowledged += stop - start
            if call.acknowledged == call.count and not call.future.done():
                call.future.set_result(None)
            self._release(call)

    async def _failed(self, flight: Flight, generation: Generation, facts: TopicFacts, error: Exception) -> None:
        """Deal with a batch that failed, and with the gap that it leaves in its producer's numbers."""
        self._spoilt = generation
        self._catalogue.forget(self._topic)
        judged = meaning(error)
        self._log.warning(
            "kafka batch failed", topic=self._topic, partition=self._partition, error=said(error), meaning=judged.value
        )
        if judged is Meaning.TOO_LARGE and await self._takes_less_than(facts):
            judged = Meaning.LOST
        if judged is Meaning.LOST:
            self._take_back(flight)
            self._rest_seconds = min(max(2 * self._rest_seconds, _RETRY_SECONDS), _SICK_SECONDS)
            await asyncio.sleep(self._rest_seconds)
            return
        refusal = as_ours(error, self._where)
        if self._relief is None or judged is Meaning.TOO_LARGE:
            for call, _, _ in flight.parts:
                call.fail(refusal)
        self._take_back(flight)
        if judged is not Meaning.TOO_LARGE:
            self._refuse(refusal)

    async def _takes_less_than(self, facts: TopicFacts) -> bool:
        """Whether the topic's limit was lowered since; then all who wait are measured again."""
        try:
            fresh = await self._catalogue.load(self._topic)
        except BrokerError:
            return True
        for call in self._waiting:
            call.checked = False
        return fresh.max_message_bytes < facts.max_message_bytes

    def _take_back(self, flight: Flight) -> None:
        """Put those whom a failed batch carried, and who still wait for an answer, back to the front."""
        flight.reload()
        for call, start, _ in reversed(flight.parts):
            call.flying = False
            call.taken = start
            call.checked = False
            if not call.waiting and not call.future.done():
                call.waiting = True
                self._waiting.appendleft(call)
            self._release(call)

    def _refuse(self, error: BrokerError) -> None:
        """Tell those who wait, and for a while those who come, that Kafka does not take records here."""
        if isinstance(error, UnknownTopic):
            self._rest_seconds = _UNKNOWN_REST_SECONDS
        else:
            self._rest_seconds = min(max(2 * self._rest_seconds, _FIRST_REST_SECONDS), _LONGEST_REST_SECONDS)
        self._rests_until = self._ledger.now() + self._rest_seconds
        # Of what was handed over nothing may be claimed; of these it is sure that they were not written.
        self._refusal = refusal = error if isinstance(error, UnknownTopic) else Unavailable(*error.args)
        self._ledger.refused(refusal)
        self._evacuate(str(refusal))
        for call in self._waiting:
            call.fail(refusal)
        self._leave()

    def _evacuate(self, reason: str) -> None:
        """Hand over whoever waits for an answer, those of the batch under way first: they were called first. It may still be written."""
        if self._relief is None:
            return
        parts = [] if self._flight is None else self._flight.parts
        flying = [part.call for part in parts if not part.call.waiting and not part.call.future.done()]
        if self._flight is not None and flying:
            self._flight.reload()
        if self._gathering is not None:
            self._gathering.give_up()
        stranded = [call.strand() for call in (*flying, *self._waiting) if not call.future.done()]
        self._leave()
        if stranded:
            self._relief.relieve(self._topic, self._partition, stranded, reason)

    def _leave(self) -> None:
        """Let out of the queue who was answered or is on board with everything."""
        waiting = self._waiting
        while waiting and ((call := waiting[0]).future.done() or call.taken == call.count):
            waiting.popleft()
            call.waiting = False
            self._release(call)

    def _release(self, call: Call) -> None:
        if not call.waiting and not call.flying:
            self._ledger.settled(call)
