"""One member of a group in one file: a thread that shows life and keeps the leases, however busy the event loop is."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from broker.embedded.database import connect, explain, transaction
from broker.embedded.living import is_gone
from broker.embedded.offsets import Place, places
from broker.embedded.roster import Roster
from broker.embedded.wake import GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from broker.embedded.directory import LogFile
    from broker.embedded.parts import Parts
    from broker.embedded.presence import Presence
    from broker.embedded.roster import Row

_LEAVE_SECONDS: Final = 5.0


@dataclass(slots=True)
class Change:
    """What a member has to know, partitions by their ids: those that it lost without being asked, those that it must give away, and
    those that are its own from now on, with the number under which they are.
    """

    lost: set[int] = field(default_factory=set)
    surplus: set[int] = field(default_factory=set)
    granted: dict[int, Place] = field(default_factory=dict)
    member: int = 0


class Membership:
    """Life: construct → `start` → (`take_change`, `release`) … → `stop`. `topics` are ids, `wake` is this process's FIFO;
    `changed` is called from the thread when there is a change to take.
    """

    def __init__(
        self,
        parts: Parts,
        file: LogFile,
        group: str,
        topics: Sequence[int],
        wake: str,
        presence: Presence,
        changed: Callable[[], None],
    ) -> None:
        self._path = parts.directory.database(file)
        self._wake_directory = parts.directory.wake
        self._group = group
        self._topics = topics
        self._wake = wake
        self._sender = parts.sender
        self._presence = presence
        self._timing = parts.timing
        self._clock = parts.clock
        self._log = parts.log.bind(group=group)
        self._changed = changed
        # What is returned, with the number under which it was granted; None: only look.
        self._orders: queue.SimpleQueue[tuple[int, Collection[int]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"member-of-{group}", daemon=True)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._change = Change()
        self._fault: str | None = None
        self._last_beat = parts.clock.monotonic()
        # The thread's own: under which number it is a member, what is leased to it, what its owner is done with.
        self._member = 0
        self._held: set[int] = set()
        self._returned: set[int] = set()

    def start(self) -> None:
        """Begin to join. Does not wait."""
        self._thread.start()

    def nudge(self) -> None:
        """Look at the group now. Does not wait."""
        self._orders.put(None)

    def take_change(self) -> Change:
        """Return what changed since this was asked last. Does not wait."""
        with self._lock:
            taken, self._change = self._change, Change()
        return taken

    def release(self, partitions: Collection[int], member: int) -> None:
        """Give partitions away that were granted under the number `member`. Does not wait."""
        self._orders.put((member, partitions))

    def is_stale(self) -> bool:
        """Say whether the session has lapsed, as far as this member knows: its partitions may be another's by now."""
        return self._clock.monotonic() - self._last_beat > self._timing.session_timeout

    def held_until(self) -> float:
        """Return until when what was granted is surely nobody else's; a time that is past while something is lost and not taken note of,
        and from `stop` on.
        """
        with self._lock:
            if self._change.lost or self._stopping.is_set():
                return float("-inf")
            return self._last_beat + self._timing.session_timeout

    def fault(self) -> str | None:
        """Return why the group could not be reached, the last time that it was tried; None when it could."""
        return self._fault

    def stop(self) -> None:
        """Leave the group. Blocks for seconds at most; what cannot be released then lapses. Idempotent."""
        self._stopping.set()
        self._orders.put(None)
        if self._thread.ident is not None:
            self._thread.join(_LEAVE_SECONDS)

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        roster: Roster | None = None
        while not self._stopping.is_set():
            try:
                if connection is None or roster is None:
                    # A group's rows mean nothing after the machine died, and its processes with it: nothing here need be synced.
                    connection = connect(self._path, durable=False)
                    roster = Roster(connection, self._group)
                self._look(connection, roster)
                self._fault = None
            except sqlite3.Error as error:
                self._fault = explain(self._path, error)
                self._log.warning("group not reachable", reason=self._fault)
            except Exception as error:  # noqa: BLE001  # without this thread the member would be lost without a word
                self._fault = f"{self._path}: {error!r}"
                self._log.exception("group not reachable")
            self._wait()
        if connection is not None and roster is not None:
            self._leave(connection, roster)
            connection.close()

    def _wait(self) -> None:
        """Wait for an order or for the next heartbeat; take all orders that are there."""
        with contextlib.suppress(queue.Empty):
            order = self._orders.get(timeout=self._timing.heartbeat)
            while True:
                # Under an earlier number it is lost already, and may have been granted anew.
                if order is not None and order[0] == self._member:
                    self._returned |= set(order[1])
                order = self._orders.get_nowait()

    def _look(self, connection: sqlite3.Connection, roster: Roster) -> None:
        """Show life; put in order what is not."""
        now = self._clock.monotonic()
        if not self._presence.shows_life(now):
            # Its owner has not polled for long: whoever is alive may have its partitions.
            return
        # One statement, and mostly all that is written: the file is locked for as long as SQLite takes, not Python.
        known = roster.beat(self._member, now)
        if known:
            self._last_beat = now
        if not known or self._returned or not self._is_in_order(connection, roster):
            self._put_in_order(connection, roster)

    def _is_in_order(self, connection: sqlite3.Connection, roster: Roster) -> bool:
        with transaction(connection, "DEFERRED"):
            plan = roster.plan(self._is_gone)
        wanted = {partition for partition, owner in plan.wanted.items() if owner == self._member}
        owned = {partition for partition, owner in plan.owners.items() if owner == self._member}
        return not plan.gone and wanted == owned == self._held

    def _put_in_order(self, connection: sqlite3.Connection, roster: Roster) -> None:
        """Join if need be, give back what is returned, expel the dead, take what is free; all in one transaction."""
        with transaction(connection):
            now = self._clock.monotonic()
            member, joined = self._member, not roster.beat(self._member, now)
            if joined:
                member = roster.join(self._topics, self._wake, now)
            roster.release(member, self._returned)
            plan = roster.plan(self._is_gone)
            for gone in plan.gone:
                roster.remove(gone)
            owned = {partition for partition, owner in plan.owners.items() if owner == member}
            wanted = {partition for partition, owner in plan.wanted.items() if owner == member}
            free = wanted - plan.owners.keys()
            roster.lease(member, free)
        told = set() if joined else self._held - self._returned
        lost = self._held - self._returned - owned
        news = bool(joined or plan.gone or self._returned)
        self._member, self._held = member, told & owned
        self._returned.clear()
        self._note(member, lost, (owned - wanted) & told, now)
        if news:
            self._sender.tell((GROUPS,))
        self._take_over(connection, (owned | free) - told, wanted)

    def _take_over(self, connection: sqlite3.Connection, fresh: set[int], wanted: set[int]) -> None:
        """Let the owner know what is newly leased to it."""
        # What it was never told of, and need not be any more, goes the next time.
        self._returned |= fresh - wanted
        granted = fresh & wanted
        if granted:
            # Not while the file is locked; nobody else commits there any more.
            found = places(connection, self._group, self._topics)
            self._held |= granted
            self._grant({partition: found[partition] for partition in granted})

    def _is_gone(self, row: Row) -> bool:
        """Say whether a member that was read just now has to go."""
        if row.id == self._member:
            return False
        return is_gone(row, self._clock.monotonic(), self._timing.session_timeout, self._wake_directory)

    def _note(self, member: int, lost: set[int], surplus: set[int], now: float) -> None:
        """Add to what the owner has not asked for yet; the session lasts from `now`."""
        with self._lock:
            self._last_beat = now
            change = self._change
            change.member = member
            change.surplus = surplus
            for partition in lost:
                # What it was never told it had, it need not be told it lost.
                if change.granted.pop(partition, None) is None:
                    change.lost.add(partition)
        if lost or surplus:
            self._changed()

    def _grant(self, granted: dict[int, Place]) -> None:
        with self._lock:
            self._change.member = self._member
            self._change.granted.update(granted)
        self._changed()

    def _leave(self, connection: sqlite3.Connection, roster: Roster) -> None:
        try:
            with transaction(connection):
                roster.remove(self._member)
        except sqlite3.Error as error:
            # The others find out when the session ends.
            self._log.warning("group not left", reason=explain(self._path, error))
            return
        self._sender.tell((GROUPS,))
