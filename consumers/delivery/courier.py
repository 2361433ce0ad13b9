"""The delivery of one batch: sent, judged, and sent again until every record in it is finished."""

from __future__ import annotations

import asyncio
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from consumers.api.allowance import allowance_of
from consumers.api.answers import Answer
from consumers.api.outcomes import Action, Kind, classify
from consumers.delivery.deletions import Deletion, judged, request_of
from consumers.delivery.doubt import Doubts
from consumers.delivery.firewall import Refusals
from consumers.letters.dead_letters import DeadLetter, Reason
from consumers.offsets.tracker import DEAD_LETTERED, DELIVERED
from consumers.pace.thrift import Thrift
from schemas.topics import events_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from broker.interface import Record
    from consumers.api.ingestion import Ingestion
    from consumers.api.outcomes import Outcome
    from consumers.delivery.batch import Batch
    from consumers.delivery.doubt import Doubt
    from consumers.letters.dead_letters import DeadLetters
    from consumers.letters.forgetting import Forgetting
    from consumers.letters.limit import DeadLetterLimit
    from consumers.pace.gate import Gate
    from consumers.report import Report
    from runtime.backoff import Backoff
    from runtime.clock import Clock

_VALUE: Final = attrgetter("value")
_VOID_WORDS: Final = "the record holds no event"
_ALONE: Final = {
    Kind.REFUSED: Reason.REFUSED_ALONE,
    Kind.TOO_LARGE: Reason.TOO_LARGE,
    Kind.NOT_THE_API: Reason.BLOCKED,
}


class Flight:
    """A batch on its way.

    `busy`: a request or a publication is under way, whose result should be waited for. `withdrawn`: nothing more
    is to be sent. `probe`: None while no request is out, else whether that one is the gate's probe; whoever ends
    the flight gives an unused turn back. `partly` is called with the records that are left when others are finished.
    """

    __slots__ = ("batch", "busy", "partly", "probe", "task", "withdrawn")

    def __init__(self, batch: Batch, *, probe: bool, partly: Callable[[Flight, Sequence[Record]], None]) -> None:
        self.batch = batch
        self.partly = partly
        self.probe: bool | None = probe
        self.busy = False
        self.withdrawn = False
        self.task: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """End it where it stands, if it has not ended."""
        if self.task is not None:
            self.task.cancel()


class _Part:
    """Records of a batch that are sent in one request, how often they were sent before, and whether some may have arrived.

    `refusals`: those of something that is not the API, once it is a single record.
    """

    __slots__ = ("attempts", "doubt", "records", "refusals")

    def __init__(self, records: Sequence[Record], attempts: int = 0, doubt: Doubt | None = None) -> None:
        self.records = records
        self.attempts = attempts
        self.doubt = doubt
        self.refusals = Refusals()

    def of(self, records: Sequence[Record]) -> _Part:
        """Return some of it as a part of its own."""
        part = _Part(records, self.attempts, None if self.doubt is None else self.doubt.among(records))
        part.refusals = self.refusals
        return part


class Courier:
    """Delivers the batches of one storefront. No limit to the tries: what cannot be delivered now is held, and its keys with it."""

    def __init__(
        self,
        storefront: str,
        ingestion: Ingestion,
        gate: Gate,
        dead_letters: DeadLetters,
        backoff: Backoff,
        clock: Clock,
        report: Report,
        *,
        limit: DeadLetterLimit,
        forgetting: Forgetting,
    ) -> None:
        self.doubts = Doubts(events_topic(storefront), clock, report)
        self.thrift = Thrift(report)
        self._storefront = storefront
        self._ingestion = ingestion
        self._gate = gate
        self._dead_letters = dead_letters
        self._limit = limit
        self._forgetting = forgetting
        self._backoff = backoff
        self._clock = clock
        self._report = report
        # Requests, not events.
        self._delivered = 0

    async def deliver(self, flight: Flight) -> None:
        """Return when every record of the batch is delivered or dead-lettered, or when the flight was withdrawn.

        Halves of a batch go one after the other, so the order of its keys holds. May be cancelled: what is
        marked by then stays marked.
        """
        records = await self._without_void(flight)
        records = await self._without_forgotten(flight, records)
        parts = [_Part(records, doubt=self.doubts.claim(flight.batch, records))] if records else []
        while parts and not flight.withdrawn:
            part = parts.pop()
            refusals = part.refusals.count
            rest = [each for each in await self._settle(flight, part) if each.records]
            if refusals and not rest and part.refusals.count == refusals:
                # It was taken in the end. So may be what was refused beside it: none of that need wait any longer.
                for each in parts:
                    each.refusals = Refusals()
            parts = _behind(parts, part) if rest == [part] else [*parts, *reversed(rest)]
            if parts and sum(len(each.records) for each in rest) < len(part.records):
                flight.partly(flight, [record for each in parts for record in each.records])

    async def _without_void(self, flight: Flight) -> Sequence[Record]:
        """Dead-letter what holds no event, and return the rest."""
        records = flight.batch.records
        if all(map(_VALUE, records)):
            return records
        void = [record for record in records if not record.value]
        while void:
            allowed = self._limit.allowed(len(void), dict.fromkeys(range(len(void)), _VOID_WORDS))
            letters = [DeadLetter(void[index], Reason.NO_VALUE, _VOID_WORDS, 0) for index in sorted(allowed)]
            await self._bury(flight, letters)
            void = [record for index, record in enumerate(void) if index not in allowed]
            if void:
                # Parked: held like everything else of the storefront, until that is lifted.
                if flight.probe is not None:
                    self._gate.forgo(probe=flight.probe)
                    flight.probe = None
                flight.probe = await self._gate.turn()
        return [record for record in records if record.value]

    async def _without_forgotten(self, flight: Flight, records: Sequence[Record]) -> Sequence[Record]:
        """Settle replayed events whose users were deleted meanwhile, which must not be sent again, and return the rest."""
        if not flight.batch.replays:
            return records
        gone = await self._forgetting.forgotten(records)
        if not gone:
            return records
        await self._bury(
            flight, [DeadLetter(record, Reason.USER_DELETED, "its user was deleted", 0) for record in gone]
        )
        places = {(record.partition, record.offset) for record in gone}
        return [record for record in records if (record.partition, record.offset) not in places]

    async def _settle(self, flight: Flight, part: _Part) -> Sequence[_Part]:
        """Send `part` until its outcome is final; return what of it is to be sent in smaller parts, or it itself to stand aside."""
        request = request_of(part.records)
        self.doubts.watch(part.doubt)
        failures = part.refusals.count
        try:
            if failures:
                await self._pause(failures)
            while True:
                outcome = await self._send(flight, part, request)
                if outcome.action is Action.SETTLE:
                    if isinstance(request, Deletion) and not outcome.refused:
                        await self._forget(flight, part.records[0])
                    return (part.of(await self._finish(flight, part, outcome)),)
                if outcome.action is Action.HALVE or outcome.action is Action.ISOLATE:
                    return await self._divide(flight, part, outcome)
                failures += 1
                if outcome.action is Action.RETRY and not flight.withdrawn:
                    await self._pause(failures)
                if flight.withdrawn:
                    self.doubts.left(part.doubt)
                    return ()
        except asyncio.CancelledError:
            self.doubts.left(part.doubt)
            raise
        finally:
            self.doubts.settled(part.doubt)

    async def _pause(self, failures: int) -> None:
        """Wait before the next try. While the storefront rests, the gate alone decides when that goes out."""
        if self._gate.reason is None:
            await self._clock.sleep(self._backoff.delay(failures))

    async def _divide(self, flight: Flight, part: _Part, outcome: Outcome) -> Sequence[_Part]:
        """Return the halves of what was refused as a whole; of a single record, what becomes of it."""
        middle = len(part.records) // 2
        if middle:
            return part.of(part.records[:middle]), part.of(part.records[middle:])
        if outcome.action is Action.ISOLATE and not part.refusals.add(self._delivered):
            return (part,)
        if not self._limit.allowed(1, {0: outcome.words}):
            return (part.of(part.records),)
        letter = DeadLetter(part.records[0], _ALONE[outcome.kind], outcome.words, part.attempts)
        await self._bury(flight, [letter])
        return ()

    async def _send(self, flight: Flight, part: _Part, request: bytes | Deletion) -> Outcome:
        if flight.probe is None:
            # What the API may have taken goes first: it knows the ids of transactions again for a day only.
            flight.probe = await self._gate.turn(urgent=part.doubt is not None)
            self.doubts.look()
        part.attempts += 1
        flight.busy = True
        started = self._clock.monotonic()
        try:
            if isinstance(request, Deletion):
                answer = await self._ingestion.delete(request.user_id)
            else:
                answer = await self._ingestion.post(request)
        except asyncio.CancelledError:
            self._report.given_up(len(part.records))
            part.doubt = part.doubt or self._doubt(flight, part, started)
            raise
        finally:
            flight.busy = False
        outcome = classify(answer, len(part.records), self._clock.now(), self._ingestion.secret)
        if isinstance(request, Deletion):
            outcome = judged(outcome, answer)
        if outcome.in_doubt and part.doubt is None:
            part.doubt = self._doubt(flight, part, started)
            self.doubts.watch(part.doubt)
        probe, flight.probe = flight.probe, None
        seconds = self._clock.monotonic() - started
        size = 0 if isinstance(request, Deletion) else len(request)
        self._report.request(len(part.records), size, answer, outcome, part.attempts, seconds)
        allowance = allowance_of(answer.headers) if isinstance(answer, Answer) else None
        if outcome.action is Action.SETTLE:
            self._delivered += 1
            self.thrift.take(allowance)
        self._gate.leave(flight, outcome, probe=probe, seconds=seconds, allowance=allowance)
        return outcome

    def _doubt(self, flight: Flight, part: _Part, started: float) -> Doubt | None:
        return self.doubts.about(flight.batch, part.records, self._clock.monotonic() - started)

    async def _finish(self, flight: Flight, part: _Part, outcome: Outcome) -> Sequence[Record]:
        """Settle what was sent; return what is to be sent again, in its order.

        That is what only waits for quota or plan, and what is refused after the storefront came to its limit of dead letters.
        """
        records, refused, held = part.records, outcome.refused, outcome.held
        if not refused and not held:
            flight.batch.settle(records, DELIVERED)
            self._report.delivered(records)
            self._limit.delivered(len(records))
            return ()
        delivered = [each for index, each in enumerate(records) if index not in refused and index not in held]
        if delivered:
            flight.batch.settle(delivered, DELIVERED)
            self._report.delivered(delivered)
        # For the limit, what is held was not sent at all.
        sent = [index for index in range(len(records)) if index not in held]
        allowed = self._limit.allowed(
            len(sent), {n: refused[index] for n, index in enumerate(sent) if index in refused}
        )
        dead = {sent[n] for n in allowed}
        await self._bury(
            flight,
            [
                DeadLetter(records[index], Reason.REFUSED_BY_NAME, refused[index], part.attempts)
                for index in sorted(dead)
            ],
        )
        return [records[index] for index in sorted((refused.keys() | held) - dead)]

    async def _forget(self, flight: Flight, deletion: Record) -> None:
        """Settle the dead letters of a user who was deleted; before the deletion itself, so that a crash between repeats both."""
        flight.busy = True
        try:
            await self._forgetting.forget(self._storefront, deletion)
        finally:
            flight.busy = False

    async def _bury(self, flight: Flight, letters: Sequence[DeadLetter]) -> None:
        if not letters:
            return
        flight.busy = True
        try:
            await self._dead_letters.publish(self._storefront, letters)
        finally:
            flight.busy = False
        flight.batch.settle([letter.record for letter in letters], DEAD_LETTERED)
        self._report.dead_lettered(letters)


def _behind(parts: Sequence[_Part], part: _Part) -> list[_Part]:
    """Return `parts`, the last of which goes next, with a single record behind all but those of its key."""
    key = part.records[0].key
    if key is None:
        return [part, *parts]
    same = [each.of([record for record in each.records if record.key == key]) for each in parts]
    others = [each.of([record for record in each.records if record.key != key]) for each in parts]
    return [each for each in (*same, part, *others) if each.records]
