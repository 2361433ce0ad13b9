"""A member of a consumer group on the embedded log."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Final

from broker.embedded.offsets import write_commits
from broker.interface import Fenced, NotAcknowledged, Subscription, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from structlog.typing import FilteringBoundLogger

    from broker.embedded.chunk import StoredRecord
    from broker.embedded.directory import LogFile
    from broker.embedded.membership import Membership
    from broker.embedded.ownership import Ownership
    from broker.embedded.prefetch import Prefetch
    from broker.embedded.presence import Presence
    from broker.embedded.writers import Writers
    from broker.interface import Commit, TopicPartition

_COMMIT_SECONDS: Final = 10.0
_METADATA_BYTES: Final = 4_000


class EmbeddedSubscription(Subscription):
    """Made by `EmbeddedBroker.subscribe`, which also says what is to be done when it is `closed`."""

    def __init__(
        self,
        *,
        group: str,
        memberships: Mapping[LogFile, Membership],
        ownership: Ownership,
        prefetch: Prefetch,
        presence: Presence,
        writers: Writers,
        stirred: asyncio.Event,
        log: FilteringBoundLogger,
        closed: Callable[[EmbeddedSubscription], None],
    ) -> None:
        self._group = group
        self._memberships = memberships
        self._ownership = ownership
        self._prefetch = prefetch
        self._presence = presence
        self._writers = writers
        self._stirred = stirred
        self._log = log
        self._on_closed = closed
        self._loop = asyncio.get_running_loop()
        # The listener is called by one task at a time, also when one polls and another closes.
        self._listening = asyncio.Lock()
        self._closed = False

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        """What this member owns now."""
        return frozenset(self._ownership.seats)

    async def poll(
        self,
        timeout: float,  # noqa: ASYNC109  # the interface's
        partitions: Collection[TopicPartition] | None = None,
        max_records: int = 10_000,
    ) -> dict[TopicPartition, list[StoredRecord]]:
        """As the interface says. Raises Unavailable also when the group cannot be reached for longer than the session lasts."""
        deadline = self._loop.time() + timeout
        # With a backlog nothing below waits: others must have their turn.
        await asyncio.sleep(0)
        with self._presence.polling():
            while not self._closed:
                self._stirred.clear()
                async with self._listening:
                    await self._ownership.settle()
                taken = {} if self._is_stale() else self._prefetch.take(partitions, max_records)
                remaining = deadline - self._loop.time()
                if taken:
                    return taken
                if remaining <= 0:
                    break
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(remaining):
                        await self._stirred.wait()
        self._raise_fault()
        return {}

    async def commit(self, commits: Mapping[TopicPartition, Commit]) -> None:
        """As the interface says; what is still owned is written also when something else is not. Raises ValueError for metadata of more
        than 4,000 bytes.
        """
        lost = [partition for partition in commits if partition not in self._ownership.seats]
        by_file: defaultdict[LogFile, dict[TopicPartition, Commit]] = defaultdict(dict)
        for partition, commit in commits.items():
            if len(commit.metadata.encode()) > _METADATA_BYTES:
                raise ValueError(f"the metadata of {partition} is longer than {_METADATA_BYTES} bytes")
            if partition in self._ownership.seats:
                by_file[self._ownership.seats[partition].file][partition] = commit
        for file, its_commits in by_file.items():
            lost += await self._write(file, its_commits)
        if lost:
            raise Fenced(
                f"not owned by this member of {self._group}: " + ", ".join(f"{t}/{n}" for t, n in sorted(lost))
            )

    def held_until(self) -> float:
        """As the interface says."""
        return min(membership.held_until() for membership in self._memberships.values())

    async def close(self) -> None:
        """As the interface says. An error of the listener is logged: nobody polls any more."""
        if self._closed:
            return
        self._closed = True
        self._stirred.set()
        try:
            async with self._listening:
                await self._ownership.surrender()
        except Exception:  # noqa: BLE001  # whatever a listener raises: leaving must go on
            self._log.exception("listener failed while leaving its group", group=self._group)
        finally:
            await self._prefetch.close()
            for membership in self._memberships.values():
                await self._loop.run_in_executor(None, membership.stop)
            self._on_closed(self)

    async def _write(self, file: LogFile, commits: Mapping[TopicPartition, Commit]) -> list[TopicPartition]:
        """Write; return what was not, for another owns it."""
        seats = {partition: self._ownership.seats[partition] for partition in commits}
        by_id = {seats[partition].id: commit for partition, commit in commits.items()}
        members = {seat.id: seat.member for seat in seats.values()}
        try:
            lost = await self._writers.of(file).submit(
                partial(write_commits, group=self._group, commits=by_id, members=members), seconds=_COMMIT_SECONDS
            )
        except NotAcknowledged as error:
            raise Unavailable(str(error)) from error
        return [partition for partition, seat in seats.items() if seat.id in lost]

    def _is_stale(self) -> bool:
        """Say whether others may have taken over what this member owns; find out whether they did."""
        stale = [membership for membership in self._memberships.values() if membership.is_stale()]
        for membership in stale:
            membership.nudge()
        return bool(stale)

    def _raise_fault(self) -> None:
        for membership in self._memberships.values():
            fault = membership.fault()
            if fault is not None and membership.is_stale():
                raise Unavailable(fault)
