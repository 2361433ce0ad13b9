"""Finding dead letters: which there are, which of them are settled, and their records again."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from broker.interface import UnknownTopic
from consumers.dead_letters import Reason
from consumers.letters import Letter, Origin, Place, Settled, Settlement, read_letter
from schemas.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from broker.interface import Broker


class Entry(NamedTuple):
    """What is remembered of a dead letter without its record. `at`: when it was written, in Unix milliseconds; `size`: of its value."""

    place: Place
    origin: Origin
    storefront: str
    at: int
    size: int
    is_deletion: bool


@dataclass(slots=True)
class Found:
    """The dead letters that were wanted, each once, in the order in which they were accepted; and what is known of all.

    `copies`: every place at which an event's letter stands; `settled`: what became of it, whichever of them was settled.
    `foreign`: how many records Sluice did not write.
    """

    wanted: dict[Origin, Entry] = field(default_factory=dict)
    copies: dict[Origin, list[Place]] = field(default_factory=dict)
    settled: dict[Origin, Settlement] = field(default_factory=dict)
    foreign: int = 0

    def unsettled(self) -> list[Entry]:
        """Return those of the wanted ones that nobody settled."""
        return [entry for origin, entry in self.wanted.items() if origin not in self.settled]


async def search(broker: Broker, wanted: Callable[[Letter], bool], partition: int | None = None) -> Found:
    """Return what `wanted` says yes to, of one partition or of all. Waits for all of it to be read. Raises Unavailable.

    Keeps less than 1 kB for each letter there is, none of their values.
    """
    found = Found()
    origins: dict[Place, Origin] = {}
    async for each in _records(broker, partition):
        if each is None:
            found.foreign += 1
        elif isinstance(each, Settlement):
            origin = origins.get(each.settles)
            # Else the letter has expired, and the record that settles it has not yet.
            if origin is not None:
                found.settled[origin] = each
        else:
            origin = Origin(sys.intern(each.origin.topic), *each.origin[1:])
            origins[each.place] = origin
            found.copies.setdefault(origin, []).append(each.place)
            if each.reason == Reason.USER_DELETED:
                found.settled[origin] = Settlement(each.place, Settled.USER_DELETED, each.record.timestamp)
            if origin not in found.wanted and wanted(each):
                found.wanted[origin] = _entry(each, origin)
    found.wanted = dict(sorted(found.wanted.items()))
    return found


async def fetch(broker: Broker, places: Collection[Place], *, settled: bool = False) -> list[Letter]:
    """Return the letters at these places in the order in which they were accepted; those that are settled by now only if `settled`.

    Holds their values in memory. Raises Unavailable.
    """
    letters: dict[Place, Letter] = {}
    wanted = frozenset(places)
    for partition in sorted({place.partition for place in wanted}):
        async for each in _records(broker, partition):
            if isinstance(each, Letter) and each.place in wanted:
                letters[each.place] = each
            elif isinstance(each, Settlement) and not settled:
                letters.pop(each.settles, None)
    return sorted(letters.values(), key=lambda letter: letter.origin)


async def _records(broker: Broker, partition: int | None) -> AsyncIterator[Letter | Settlement | None]:
    try:
        async for record in broker.read(DEAD_LETTERS, partition=partition):
            yield read_letter(record)
    except UnknownTopic:
        # No forwarder ever ran: there is nothing.
        return


def _entry(letter: Letter, origin: Origin) -> Entry:
    size = len(letter.record.value or b"")
    return Entry(letter.place, origin, sys.intern(letter.storefront), letter.record.timestamp, size, letter.is_deletion)
