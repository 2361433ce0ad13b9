"""How much may be read ahead, and of which partitions (G6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from consumers.offsets.tracker import RECORD_OVERHEAD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from broker.interface import TopicPartition
    from consumers.offsets.tracker import Tracker

DEFAULT_BUDGET: Final = 12 * 1024 * 1024
MAX_RECORDS: Final = 1_000
MAX_SPAN: Final = 100_000
"""A partition is not read further ahead of its first unfinished record than this: its next owner reads all of it again."""

_FIRST_GUESS: Final = RECORD_OVERHEAD + 2 * 1024
_NEWEST_WEIGHS: Final = 0.2


class Reach(NamedTuple):
    """A partition that could be read: what it holds, whether its storefront flows, and whether that has use for more."""

    partition: TopicPartition
    tracker: Tracker
    flowing: bool
    hungry: bool


class Plan(NamedTuple):
    """What to ask the broker for. `withheld`: there are partitions left out that may soon have room again."""

    partitions: list[TopicPartition]
    max_records: int
    withheld: bool


class Room:
    """Shares `budget` bytes of memory among the partitions that are owned.

    Half of it is divided evenly and always a partition's own, so that no storefront that rests can keep another
    from being read. The other half is lent to partitions of storefronts that flow, none more than a quarter of the
    budget. A partition is asked for when it holds less than half of what it may, so that it is worth the asking.
    At worst one and a half budgets are in use, and one read beyond.
    """

    def __init__(self, budget: int = DEFAULT_BUDGET) -> None:
        self._budget = budget
        self._typical = float(_FIRST_GUESS)

    def learn(self, records: int, weight: int) -> None:
        """Take note of what the records of one read weighed together, in bytes."""
        self._typical += (weight / records - self._typical) * _NEWEST_WEIGHS

    def plan(self, partitions: Iterable[Reach]) -> Plan:
        """Return what to read next of the `partitions` that are owned."""
        owned = list(partitions)
        own = self._budget // (2 * max(1, len(owned)))
        lend = sum(each.tracker.held for each in owned) < self._budget
        wanted: list[TopicPartition] = []
        least = self._budget
        withheld = False
        for partition, tracker, flowing, hungry in owned:
            may_hold = max(own, self._budget // 4) if lend and flowing else own
            if hungry and tracker.held * 2 <= may_hold and tracker.span < MAX_SPAN:
                wanted.append(partition)
                least = min(least, may_hold - tracker.held)
            elif flowing:
                withheld = True
        return Plan(wanted, max(1, min(MAX_RECORDS, int(least / self._typical))), withheld)
