"""The way of one storefront's events from its partitions to its ingestion API; no other storefront's passes through it (G4)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from consumers.delivery.courier import Flight

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from broker.interface import Record
    from consumers.brake import Brake
    from consumers.delivery.courier import Courier
    from consumers.delivery.lane import Lane
    from consumers.offsets.memory import Buried
    from consumers.offsets.tracker import Tracker
    from consumers.pace.gate import Gate
    from consumers.report import Report
    from consumers.traces import Traces
    from runtime.clock import Clock

_GIVE_UP_SECONDS: Final = 5.0


class Route:
    """One storefront's lane, gate, brake and courier, and the batches in flight between them.

    Life: `assign` → `add` … → `withdraw`. A batch goes out as soon as one is due and the gate lets it; `pump` is
    called whenever that may have changed, and by the forwarder at `pump_at`. `failed` is told of a fault in our
    own code, which ends the process. `enough` is how many records are worth having at hand. `traces`: None when nobody
    listens to them.
    """

    def __init__(
        self,
        lane: Lane,
        gate: Gate,
        courier: Courier,
        clock: Clock,
        report: Report,
        failed: Callable[[BaseException], None],
        enough: int,
        brake: Brake,
        *,
        traces: Traces | None = None,
    ) -> None:
        self.brake = brake
        self._traces = traces
        self._lane = lane
        self._gate = gate
        self._courier = courier
        self._clock = clock
        self._report = report
        self._failed = failed
        self._enough = enough
        self._flights: set[Flight] = set()
        gate.on_change(self.pump)

    @property
    def flowing(self) -> bool:
        """Whether the storefront takes events at present, or rests."""
        return self._gate.reason is None

    @property
    def hungry(self) -> bool:
        """Whether more should be read. Records that lie about grow cold: reading far ahead made everything slower by half."""
        return self._lane.ready < self._enough or self._lane.is_awaiting

    def excuse(self, seconds: float) -> bool:
        """Whether something keeps this storefront's events back that is told elsewhere: a rest, a pause by hand, its turn at the origin,
        or that a request came to nothing in the last `seconds`.
        """
        now = self._clock.monotonic()
        opens_at = self._gate.opens_at()
        awaits_its_turn = opens_at is not None and opens_at > now
        return not self.flowing or awaits_its_turn or now - self._report.trouble <= seconds

    def buried(self) -> Buried | None:
        """Return what the storefront's limit of dead letters has counted, to be written beside its commits."""
        return self.brake.buried(self._clock.now())

    def assign(self, trackers: Mapping[int, Tracker]) -> None:
        """Take on partitions, each with the tracker of this assignment."""
        self._lane.assign(trackers, self._clock.monotonic())
        for partition, tracker in trackers.items():
            self._courier.doubts.inherit(partition, tracker)

    def add(self, partition: int, records: Sequence[Record]) -> int:
        """Take records that were read from an assigned partition, in their order; return how many are not finished already."""
        return self._lane.add(partition, records, self._clock.monotonic())

    def pump(self) -> None:
        """Send out what may go now. Never waits."""
        now = self._clock.monotonic()
        self._courier.doubts.look()
        while self._gate.admit(new=self._due(now)) and self._due(now):
            batch = self._lane.take()
            if batch is None:
                break
            self._launch(Flight(batch, probe=self._gate.enter(), partly=self._partly_landed))
        self._report.gate(self._gate.in_flight, self._gate.reason, self._gate.rests_until - now)

    def pump_at(self) -> float | None:
        """Return when `pump` should be called if nothing else happens, on the monotonic clock."""
        opens_at = self._gate.opens_at()
        if opens_at is None:
            return None
        if self._gate.has_waiting:
            return opens_at
        due_at = self._due_at()
        return None if due_at is None else max(opens_at, due_at)

    async def withdraw(self, partitions: Collection[int], seconds: float) -> None:
        """Give up what is not finished of these partitions: forget what is unsent, try nothing again.

        Requests that are out have up to `seconds` to come back; then they are cancelled. A batch that shares
        another partition goes on: whoever reads the partition next sends its records again in their order, so
        a repeat is all that can come of it.
        """
        self._lane.drop(partitions)
        gone = frozenset(partitions)
        flights = [flight for flight in self._flights if not gone.isdisjoint(flight.batch.partitions())]
        whole = [flight for flight in flights if flight.batch.partitions() <= gone]
        for flight in whole:
            flight.withdrawn = True
            if not flight.busy:
                flight.cancel()
        await _ended([flight for flight in flights if flight.busy or flight.withdrawn], seconds)
        for flight in whole:
            flight.cancel()
        await _ended(whole, _GIVE_UP_SECONDS)
        self._courier.doubts.forget(gone)

    def oldest(self) -> float | None:
        """Return when the oldest record in memory was accepted, in seconds since the epoch; None without one.

        Looks at every record in memory: for a gauge, not for each event. A batch counts whole until it is finished.
        """
        oldest = min((record.timestamp for record in self._unfinished()), default=None)
        return None if oldest is None else oldest / 1000

    def _unfinished(self) -> Iterator[Record]:
        yield from self._lane.waiting()
        for flight in self._flights:
            yield from flight.batch.records

    def _due_at(self) -> float | None:
        due_at = self._lane.due_at()
        return None if due_at is None else due_at + self._courier.thrift.patience

    def _due(self, now: float) -> bool:
        due_at = self._due_at()
        return due_at is not None and due_at <= now

    def _launch(self, flight: Flight) -> None:
        self._flights.add(flight)
        deliver = self._courier.deliver
        way = deliver(flight) if self._traces is None else self._traces.follow(deliver, flight)
        flight.task = asyncio.create_task(way)
        flight.task.add_done_callback(lambda task: self._landed(flight, task))

    def _partly_landed(self, flight: Flight, unfinished: Sequence[Record]) -> None:
        self._lane.release_finished(flight.batch, unfinished)
        self.pump()

    def _landed(self, flight: Flight, task: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        self._lane.release(flight.batch)
        if flight.probe is not None:
            self._gate.forgo(probe=flight.probe)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)
        self.pump()


async def _ended(flights: Sequence[Flight], seconds: float) -> None:
    """Wait until these have ended, at most `seconds`."""
    tasks = {flight.task for flight in flights if flight.task is not None and not flight.task.done()}
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)
