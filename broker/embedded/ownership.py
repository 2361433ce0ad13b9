"""What a subscription owns, kept in step with its memberships: the listener is told before records flow and before leases go."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from broker.interface import Assignment

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from broker.embedded.directory import LogFile
    from broker.embedded.membership import Membership
    from broker.embedded.offsets import Place
    from broker.embedded.prefetch import Prefetch
    from broker.embedded.presence import Presence
    from broker.interface import RebalanceListener, TopicPartition


class Seat(NamedTuple):
    """Where an owned partition lies, and under which member number it was granted."""

    file: LogFile
    id: int
    member: int


class Ownership:
    """Used by one task at a time. `partitions` names the partitions of each file by their ids."""

    def __init__(
        self,
        memberships: Mapping[LogFile, Membership],
        partitions: Mapping[LogFile, Mapping[int, TopicPartition]],
        listener: RebalanceListener,
        prefetch: Prefetch,
        presence: Presence,
    ) -> None:
        self._memberships = memberships
        self._partitions = partitions
        self._listener = listener
        self._prefetch = prefetch
        self._presence = presence
        self._leaving: dict[TopicPartition, Seat] = {}
        self._arriving: dict[TopicPartition, tuple[Seat, Place]] = {}
        self.seats: dict[TopicPartition, Seat] = {}

    async def settle(self) -> None:
        """Take over what the memberships say, and tell the listener. Raises what the listener raises; what it was not told of yet it is
        told of the next time.
        """
        for file in self._memberships:
            self._take_change(file)
        if self._leaving:
            await self._revoke(self._leaving)
        if self._arriving:
            await self._assign()

    async def surrender(self) -> None:
        """Tell the listener that everything goes. Raises what it raises; then, too, nothing is owned any more."""
        self._arriving.clear()
        if self.seats:
            await self._revoke(self.seats)

    def _take_change(self, file: LogFile) -> None:
        change = self._memberships[file].take_change()
        names = self._partitions[file]
        for gone in (change.lost | change.surplus) & names.keys():
            partition = names[gone]
            if partition in self.seats:
                self._leaving[partition] = self.seats[partition]
            elif partition in self._arriving:
                # It goes before its owner heard that it came.
                self._release({partition: self._arriving.pop(partition)[0]})
        for granted, place in change.granted.items():
            seat = Seat(file, granted, change.member)
            if granted in change.surplus:
                self._release({names[granted]: seat})
            else:
                self._arriving[names[granted]] = (seat, place)

    async def _revoke(self, going: Mapping[TopicPartition, Seat]) -> None:
        leaving = dict(going)
        try:
            with self._presence.rebalancing():
                await self._listener.revoked(frozenset(leaving))
        finally:
            for partition in leaving:
                self._prefetch.remove(partition)
                self.seats.pop(partition, None)
                self._leaving.pop(partition, None)
            self._release(leaving)

    async def _assign(self) -> None:
        arriving, self._arriving = self._arriving, {}
        assignments = []
        for partition, (seat, place) in arriving.items():
            position = place.log.start if place.commit is None else place.commit.offset
            out_of_range = not place.log.start <= position <= place.log.end
            self.seats[partition] = seat
            if not out_of_range:
                self._prefetch.add(seat.file, seat.id, partition, position)
            assignments.append(Assignment(partition, position, place.commit, place.log, out_of_range))
        with self._presence.rebalancing():
            await self._listener.assigned(assignments)

    def _release(self, seats: Mapping[TopicPartition, Seat]) -> None:
        for file, membership in self._memberships.items():
            for member in {seat.member for seat in seats.values() if seat.file == file}:
                ids: Collection[int] = [s.id for s in seats.values() if s.file == file and s.member == member]
                membership.release(ids, member)
