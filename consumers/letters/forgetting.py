"""What the deletion of a user does to that user's dead letters, and to those of them that were replayed (RECORDS §1)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from broker.interface import BrokerError
from consumers.letters.forgotten import RETRY_SECONDS, Forgotten
from consumers.letters.letter import REPLAYED_FROM, Letter, Origin, Place, Settled, Settlement, read_letter, settlement
from runtime.errors import one_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from structlog.typing import FilteringBoundLogger

    from broker.interface import Record
    from consumers.letters.dead_letters import DeadLetters
    from runtime.clock import Clock


class _Known(NamedTuple):
    """A letter of some key, and whether its user's deletion has settled it."""

    place: Place
    origin: Origin
    storefront: str
    forgotten: bool


class _Ask:
    """Somebody's question for the letters of a key, and the answer once there is one."""

    __slots__ = ("key", "letters")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.letters: list[_Known] | None = None


class Forgetting:
    """Settles the dead letters of users who are deleted, and knows which replayed events are of such users.

    A user's letters stand in one partition, that of the key: only it is read, and once for all who wait for it. Of the letters
    nothing is kept. `read` yields a partition of the dead-letter topic from an offset up to its present end.
    """

    def __init__(
        self,
        read: Callable[[int, int], AsyncIterator[Record]],
        dead_letters: DeadLetters,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._read = read
        self._dead_letters = dead_letters
        self._clock = clock
        self._log = log
        self._asks: dict[int, list[_Ask]] = {}
        self._turns: dict[int, asyncio.Lock] = {}
        self._gone: dict[int, Forgotten] = {}

    async def forget(self, storefront: str, deletion: Record) -> None:
        """Settle the letters of the user whom `deletion` removed, but for what was accepted after it; return once that is durable.

        What was replayed already is settled once more: should the replay stand behind the deletion in the log, it is known
        by that. Waits for the log as long as it takes; may be cancelled, and done again.
        """
        if deletion.key is None:
            return
        partition = self._dead_letters.partition(deletion)
        letters = [
            letter
            for letter in await self._of(partition, deletion.key)
            if letter.storefront == storefront and not letter.forgotten and not _follows(letter.origin, deletion)
        ]
        if letters:
            messages = [settlement(deletion.key, letter.place, Settled.USER_DELETED) for letter in letters]
            await self._dead_letters.write(storefront, {partition: messages})
            self._forgotten(partition).add(letter.place for letter in letters)
            self._log.info("dead letters of a deleted user are settled", storefront=storefront, letters=len(letters))

    async def forgotten(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return those of the records that are replays of letters which a deletion settled: their users are gone. Waits as `forget`."""
        # What names no place that there is was not replayed by us.
        replays = [each for each in _replays(records) if self._dead_letters.has(each[1].partition)]
        gone: set[Place] = set()
        for partition in sorted({place.partition for _, place in replays}):
            mine = [place for _, place in replays if place.partition == partition]
            gone |= await self._forgotten(partition).among(mine)
        return [record for record, place in replays if place in gone]

    def _forgotten(self, partition: int) -> Forgotten:
        found = self._gone.get(partition)
        if found is None:
            found = self._gone[partition] = Forgotten(partition, self._read, self._clock, self._log)
        return found

    async def _of(self, partition: int, key: bytes) -> list[_Known]:
        """Return the letters with a key that stand in a partition now."""
        ask = _Ask(key)
        self._asks.setdefault(partition, []).append(ask)
        async with self._turns.setdefault(partition, asyncio.Lock()):
            if ask.letters is None:
                # Nobody who asks from here on is answered by what is read now: a letter may have come since.
                asks = {ask, *self._asks.pop(partition, ())}
                found = await self._pass(partition, {each.key for each in asks})
                for each in asks:
                    each.letters = found[each.key]
            return ask.letters or []

    async def _pass(self, partition: int, keys: set[bytes]) -> dict[bytes, list[_Known]]:
        while True:
            letters: dict[Place, tuple[bytes, _Known]] = {}
            try:
                async for record in self._read(partition, 0):
                    if record.key in keys:
                        _note(record, letters)
            except BrokerError as error:
                self._log.warning("dead letters cannot be read", partition=partition, error=one_line(error))
                await self._clock.sleep(RETRY_SECONDS)
                continue
            found: dict[bytes, list[_Known]] = defaultdict(list)
            for key, known in letters.values():
                found[key].append(known)
            return found


def _replays(records: Sequence[Record]) -> Sequence[tuple[Record, Place]]:
    """Return the replayed events that have a key, each with the place of its letter.

    Theirs is the last of all headers: to look through all of each record's would be felt.
    """
    try:
        if REPLAYED_FROM not in [record.headers[-1][0] for record in records]:
            return ()
    except IndexError:
        records = [record for record in records if record.headers]
    found = []
    for record in records:
        name, value = record.headers[-1]
        place = Place.read(value.decode(errors="replace")) if name == REPLAYED_FROM else None
        if place is not None and record.key is not None:
            found.append((record, place))
    return found


def _note(record: Record, letters: dict[Place, tuple[bytes, _Known]]) -> None:
    read = read_letter(record)
    if isinstance(read, Letter):
        letters[read.place] = (record.key or b"", _Known(read.place, read.origin, read.storefront, forgotten=False))
    elif isinstance(read, Settlement) and read.settles in letters and read.outcome == Settled.USER_DELETED:
        key, known = letters[read.settles]
        letters[read.settles] = (key, known._replace(forgotten=True))


def _follows(origin: Origin, deletion: Record) -> bool:
    """Whether an event was accepted after a deletion. Of one that stood in another partition: before, while the topic was smaller."""
    return origin[:2] == (deletion.topic, deletion.partition) and origin.offset > deletion.offset
