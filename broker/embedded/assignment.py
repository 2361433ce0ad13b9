"""Which member of a group should own which partition: every member computes it from the same rows, and comes to the same result."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Share(NamedTuple):
    """A topic that members of the group subscribe to: its partitions, and those members in the order in which they joined."""

    partitions: Sequence[int]
    members: Sequence[int]


def assign(shares: Sequence[Share], owners: Mapping[int, int]) -> dict[int, int]:
    """Return the member that should own each partition.

    Each topic is spread evenly over its members; what does not divide goes round, so that many small topics are spread evenly too.
    `owners` is who owns what now: nobody gives away more than is needed, and once everybody owns what they should, nothing moves.
    """
    wanted: dict[int, int] = {}
    turn = 0
    for share in shares:
        count = len(share.members)
        if not count:
            continue
        each, extra = divmod(len(share.partitions), count)
        room = Counter(dict.fromkeys(share.members, each))
        for step in range(extra):
            room[share.members[(turn + step) % count]] += 1
        turn += extra
        _spread(share, room, owners, wanted)
    return wanted


def _spread(share: Share, room: Counter[int], owners: Mapping[int, int], wanted: dict[int, int]) -> None:
    """Fill the members' room in one topic, first with what they have."""
    held: defaultdict[int, list[int]] = defaultdict(list)
    for partition in share.partitions:
        held[owners.get(partition, 0)].append(partition)
    for member in share.members:
        kept = held[member][: room[member]]
        wanted.update(dict.fromkeys(kept, member))
        room[member] -= len(kept)
    free = iter([partition for partition in share.partitions if partition not in wanted])
    for member in share.members:
        for _ in range(room[member]):
            wanted[next(free)] = member
